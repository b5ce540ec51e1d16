"""Training and retraining of the DNN under study, and what retraining changed."""

from hudd.retraining.change import Change, compare_answers
from hudd.retraining.checkpoint import save_weights
from hudd.retraining.config import TrainingConfig
from hudd.retraining.fit import FitResult, fit
from hudd.retraining.images import CachedImages, Images, JoinedImages, TensorImages, as_images
from hudd.retraining.prediction import Predictions, predict
from hudd.retraining.retrain import Retraining, retrain
from hudd.retraining.statistics import Contrast, confidence_interval, contrast, least_p_value
from hudd.retraining.strategy_comparison import Comparison, Run, compare

__all__ = [
    "CachedImages",
    "Change",
    "Comparison",
    "Contrast",
    "FitResult",
    "Images",
    "JoinedImages",
    "Predictions",
    "Retraining",
    "Run",
    "TensorImages",
    "TrainingConfig",
    "as_images",
    "compare",
    "compare_answers",
    "confidence_interval",
    "contrast",
    "fit",
    "least_p_value",
    "predict",
    "retrain",
    "save_weights",
]
