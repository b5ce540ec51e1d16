"""What can be measured of any image: words for what failures have in common where nothing else is known."""

from hudd.attributes.base import Attribute, Measure, Pictures
from hudd.attributes.measured import OWN, attributes_of, measure_of, named_attributes

__all__ = ["OWN", "Attribute", "Measure", "Pictures", "attributes_of", "measure_of", "named_attributes"]
