"""Layer-wise relevance propagation: rules, composites and the engine."""

from hudd.lrp.composites import COMPOSITES, RULES, Composite, composite_of, parse_rule
from hudd.lrp.engine import LRP
from hudd.lrp.recommended import recommended
from hudd.lrp.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus
from hudd.lrp.run import Relevance
from hudd.lrp.targets import contrast, worst_keypoint

__all__ = [
    "COMPOSITES",
    "LRP",
    "RULES",
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "Flat",
    "Gamma",
    "Relevance",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "composite_of",
    "contrast",
    "parse_rule",
    "recommended",
    "worst_keypoint",
]
