"""The composite that the literature recommends for an architecture, told from the captured graph and not from names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hudd.capture.export import capture
from hudd.capture.graph import carries
from hudd.lrp.classification import ClassifiedGraph, classify
from hudd.lrp.composites import COMPOSITES, Composite, composite_of
from hudd.lrp.operations import weighs

aten = torch.ops.aten

_ATTENTION = {aten.scaled_dot_product_attention.default}
_SOFTMAX = {aten.softmax.int, aten._softmax.default}


def recommended(model: nn.Module, example: Tensor | Sequence[Tensor]) -> Composite:
    """The recommended composite of a model; ``LRP(model, rules="recommended")`` takes it by itself.

    ==================================================  =====================  =======================================
    what the graph shows                                composite              source
    ==================================================  =====================  =======================================
    attention (ViT, Swin, MaxViT)                       ``cp-lrp-gamma``       Ali et al. 2022, arXiv 2202.07304, for
                                                                               attention and norms; gamma for the rest
                                                                               as Achtibat et al. 2024, arXiv 2402.05602
    a convolution of values that can be negative        ``epsilon-gamma``      Montavon et al. 2019, ch. 10; for signed
    (MobileNet, EfficientNet, ShuffleNet, ConvNeXt)                            inputs Andéol et al. 2021
    rectified throughout (AlexNet, VGG, ResNet,         ``epsilon-plus-flat``  Kohlbrenner et al. 2020, arXiv
    DenseNet, GoogLeNet, Inception, U-Net)                                     1910.09840; batch norm and residuals as
                                                                               Pahde et al. 2022, arXiv 2211.17174
    ==================================================  =====================  =======================================

    Parameters
    ----------
    model : torch.nn.Module
        Any model that torch.export can trace.
    example : Tensor or sequence of Tensor
        (N, ...) an input, or one a model input; only shapes matter.

    Raises
    ------
    UsageError
        If the model cannot be captured.

    Notes
    -----
    Against a baseline ``LRP(model, rules="recommended", baseline=...)`` takes the epsilon rule for every model. Against
    ``["mean", "blur", "noise"]`` heatmaps are much more faithful than without (docs/heatmap-quality.md).
    """
    return recommended_for(classify(capture(model, example)))


def recommended_for(graph: ClassifiedGraph, *, against_baseline: bool = False) -> Composite:
    """The recommended composite of a captured model, see :func:`recommended`."""
    if against_baseline:
        return composite_of("epsilon")
    calls = [node for node in graph.roles if node.op == "call_function" and carries(node)]
    if any(node.target in _ATTENTION or (node.target in _SOFTMAX and weighs(node)) for node in calls):
        return COMPOSITES["cp-lrp-gamma"]
    for node in calls:
        role = graph.roles[node]
        if role.contracted is not None and "conv" in str(node.target):
            source = graph.roles[role.contracted]
            if (source.is_contraction or source.behind_contraction) and not source.nonnegative:
                return COMPOSITES["epsilon-gamma"]
    return COMPOSITES["epsilon-plus-flat"]
