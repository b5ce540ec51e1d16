"""What a user can choose, each choice told once: its help, what is allowed, which steps read it.

The command line's options and their completion, the checks and the reference are made from these declarations. Nothing
here needs torch.
"""

from hudd.settings.fields import (
    Field,
    Panel,
    Range,
    Setting,
    check,
    check_registered,
    documented,
    fields_of,
    setting,
)
from hudd.settings.study import SPLITS, StudySettings
from hudd.settings.training import TrainingSettings
from hudd.settings.transform import TransformSettings

__all__ = [
    "SPLITS",
    "Field",
    "Panel",
    "Range",
    "Setting",
    "StudySettings",
    "TrainingSettings",
    "TransformSettings",
    "check",
    "check_registered",
    "documented",
    "fields_of",
    "setting",
]
