"""Whether a factory gave its network weights, or left it with those that were drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Watch:
    """What happened while a factory ran.

    Attributes
    ----------
    drew : bool
        Random numbers of torch were drawn, as layers do for their first weights.
    loaded : bool
        Weights were loaded, with ``load_state_dict`` or ``torch.load``.
    """

    drew = loaded = False

    @property
    def untrained(self) -> bool:
        """Whether the weights are, as far as can be seen, those that were drawn."""
        return self.drew and not self.loaded


@contextmanager
def watch_loading() -> Iterator[Watch]:
    """Watch whether the body, which makes a network, loads weights for it."""
    watch = Watch()
    state = torch.get_rng_state()
    load_state_dict, load = nn.Module.load_state_dict, torch.load

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            watch.loaded = True
            return function(*args, **kwargs)

        return call

    nn.Module.load_state_dict = noted(load_state_dict)  # type: ignore[method-assign]
    torch.load = noted(load)
    try:
        yield watch
    finally:
        nn.Module.load_state_dict, torch.load = load_state_dict, load  # type: ignore[method-assign]
        watch.drew = not torch.equal(state, torch.get_rng_state())
