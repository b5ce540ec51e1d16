"""The relevance of a network's layers as features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hudd.features.base import Features, Subject
from hudd.language import marked

if TYPE_CHECKING:
    from hudd.lrp import LRP


class Heatmaps(Features):
    """What :class:`hudd.LRP` finds for the predicted classes."""

    description = "relevance at the input of '{layer}' for the predicted class, pooling {pool}"
    units = "logit"
    alike = marked("heatmaps")
    layered = True
    drawn = True
    conserves = True

    @classmethod
    def of(cls, subject: Subject) -> LRP:
        """Return the relevance engine."""
        from hudd.lrp import LRP  # seconds, and results are read without it

        return LRP(
            subject.model,
            rules=subject.rules,
            bias=subject.bias,
            layers=None if subject.layers is None else list(subject.layers),
            pool=subject.pool,
            precision=subject.arithmetic,
            dtype=subject.dtype,
            cuda_graphs="auto",
        )
