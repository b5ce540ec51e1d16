"""The method as a study in a directory: its steps in order, each resumable, and what they found."""

from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.study.study import STEPS, Study
from hudd.summary import Clusters, Split

__all__ = ["STEPS", "Clusters", "Results", "Settings", "Split", "Study"]
