"""Heads: what a model does with its scores after the last layer, such as softmax, a logarithm or a mean of members.

A head only rescales scores, so its output has no evidence of its own, and its sign is not that of the score: relevance
that started there would show a negative score's heatmap with its sign turned. So relevance enters before the head, at
the last pre-activation, with that value. :mod:`trends` tells what is monotone, :mod:`walk` finds the head of a captured
model, :mod:`entering` brings a target back through it, :mod:`outputs` reads probabilities from a model's outputs.
"""

from hudd.lrp.heads.entering import enter_before_head, multiples_of
from hudd.lrp.heads.outputs import (
    OUTPUT_SCALES,
    OutputScale,
    binary_cross_entropy,
    cross_entropy,
    entropies,
    output_scale,
    probabilities,
)
from hudd.lrp.heads.walk import Head, find_head

__all__ = [
    "OUTPUT_SCALES",
    "Head",
    "OutputScale",
    "binary_cross_entropy",
    "cross_entropy",
    "enter_before_head",
    "entropies",
    "find_head",
    "multiples_of",
    "output_scale",
    "probabilities",
]
