"""What the outputs of a study's DNN are: logits, probabilities ..."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from hudd.lrp.heads import OutputScale, output_scale

if TYPE_CHECKING:
    from hudd.study.study import Study

_EXAMPLES = 8  # images that show it
_known: WeakKeyDictionary[nn.Module, OutputScale] = WeakKeyDictionary()


def scale_of(study: Study) -> OutputScale:
    """Return what the DNN's outputs are, see :func:`hudd.lrp.heads.output_scale`; the same in every process."""
    module = study.model.module
    if module not in _known:
        source = study.source("test")
        examples = source.load(np.arange(min(_EXAMPLES, len(source)))).to(study.device)
        _known[module] = study.lead(lambda: output_scale(module, examples))
    return _known[module]
