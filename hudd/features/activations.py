"""The activations of a network as features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hudd.errors import UsageError
from hudd.features.base import Extractor, Features, FeatureValues, Subject, keeper
from hudd.language import marked
from hudd.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


class Activations(Features):
    """What enters a network's layers: the activations where :class:`hudd.LRP` shows the relevance.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    layers : sequence of str, optional
        Module paths, globs allowed; None for every layer that relevance passes.
    pool : {"none", "channel", "space"}
        Keep activations whole, or sum them over space or over channels.

    Raises
    ------
    UsageError
        From :meth:`prepare`, if a layer is none of the model's modules.
    """

    description = "activation at the input of '{layer}', pooling {pool}"
    alike = marked("activations")
    layered = True

    @classmethod
    def of(cls, subject: Subject) -> Extractor:
        """Return what makes the features of a study's images."""
        return cls(subject.model, subject.layers, subject.pool)

    def __init__(self, model: nn.Module, layers: Sequence[str] | None = None, pool: str = "none") -> None:
        from hudd.lrp import LRP  # seconds, and results are read without it

        self._model, self._pool, self._lrp = model, pool, LRP(model, layers=layers)
        self._modules: dict[str, nn.Module] = {}

    def prepare(self, example: Tensor) -> tuple[str, ...]:
        """Find the layers' modules for images like `example` and return their names."""
        known = dict(self._model.named_modules())
        parameters = {name for name, _ in self._model.named_parameters()}
        names = tuple(  # not contractions within a module, which go by the path of their weight
            name for name in self._lrp.prepare(example) if name.partition("@")[0] not in parameters
        )
        missing = [name for name in names if name not in known]
        if missing:
            raise UsageError(
                f"layer '{missing[0]}' is no module, so its activations cannot be read; give the model as a "
                "factory of modules, or cluster relevance."
            )
        self._modules = {name: known[name] for name in names}
        return names

    def attribute(self, inputs: Tensor, target: Any = None) -> FeatureValues:
        """Run the network and return what entered the layers; `target` makes no difference."""
        if not self._modules:
            self.prepare(inputs)
        found: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_pre_hook(keeper(found, name), with_kwargs=True)
            for name, module in self._modules.items()
        ]
        try:
            with torch.inference_mode():
                self._model(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        with torch.inference_mode():
            return FeatureValues(
                {name: self._pooled(found[name], self.channels[name]) for name in self._modules}
            )

    @property
    def channels(self) -> dict[str, int]:
        """The axis of the channels of each layer, from the end, as :attr:`hudd.LRP.channels`."""
        return self._lrp.channels

    def _pooled(self, values: Tensor, axis: int) -> Tensor:
        if self._pool == "none" or values.ndim < 3:
            return values
        return values.movedim(axis, 1).flatten(2).sum(2) if self._pool == "channel" else values.sum(axis)
