"""Layer-wise relevance propagation: rules, composites and the engine."""

from hudd.lrp.baseline import Baseline
from hudd.lrp.bias import Bias
from hudd.lrp.composites import COMPOSITES, Composite, composite_of, parse_rule, rule_marks
from hudd.lrp.contraction import Contraction
from hudd.lrp.engine import LRP
from hudd.lrp.gradients import gradient, integrated_gradients
from hudd.lrp.message import Message
from hudd.lrp.recommended import recommended
from hudd.lrp.relevance import Relevance
from hudd.lrp.rules import AlphaBeta, Crossing, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus
from hudd.lrp.targets import contrast, worst_keypoint
from hudd.parts import RULES

__all__ = [
    "COMPOSITES",
    "LRP",
    "RULES",
    "AlphaBeta",
    "Baseline",
    "Bias",
    "Composite",
    "Contraction",
    "Crossing",
    "Epsilon",
    "Flat",
    "Gamma",
    "Message",
    "Relevance",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "composite_of",
    "contrast",
    "gradient",
    "integrated_gradients",
    "parse_rule",
    "recommended",
    "rule_marks",
    "worst_keypoint",
]
