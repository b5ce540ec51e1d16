"""The method as a study in a directory: its steps in order, each resumable, and what they found."""

from typing import TYPE_CHECKING, Any

from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.summary import Clusters, Split

if TYPE_CHECKING:
    from hudd.study.study import STEPS, Study

__all__ = ["STEPS", "Clusters", "Results", "Settings", "Split", "Study"]


def __getattr__(name: str) -> Any:
    if name not in ("STEPS", "Study"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from hudd.study import study  # the steps load torch, and results are read without it

    return getattr(study, name)
