"""What of an image is clustered: relevance, channel moments, activations, features of another network, pixels.

Each is asked as :class:`hudd.LRP` is: ``prepare`` names the layers and ``attribute`` returns them.
"""

from hudd.features.activations import Activations
from hudd.features.base import Extractor, Features, FeatureValues, Subject
from hudd.features.contrast import Contrast
from hudd.features.image_moments import MomentsImage
from hudd.features.moments import Moments, Moments2026, MomentsWeighted
from hudd.features.pixels import Pixels
from hudd.features.registry import feature_kind
from hudd.features.relevance import Heatmaps
from hudd.features.transfer import Backbone
from hudd.parts import FEATURES

__all__ = [
    "FEATURES",
    "Activations",
    "Backbone",
    "Contrast",
    "Extractor",
    "FeatureValues",
    "Features",
    "Heatmaps",
    "Moments",
    "Moments2026",
    "MomentsImage",
    "MomentsWeighted",
    "Pixels",
    "Subject",
    "feature_kind",
]
