"""What each step makes of what: the order of the steps, and which results fall with another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hudd.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What is true of a step whatever it computes.

    A result has a key in the study's file, under which is noted how it was made: a name in `outputs`, or that name,
    a slash and a part of it, such as "test/train", "cluster/conv1" or "retrain/hudd/0".

    Attributes
    ----------
    name : str
        What the step is called, by users too.
    requires : tuple of str
        Names of the steps that it is made from, or keys of some of their results.
    outputs : mapping of str to tuple of str
        Keys of its results, in the order in which they are made, each with the groups and datasets in the file that
        hold it. Each result is made from those before it.
    by_layer : frozenset of str
        Keys in `outputs` of which there is a result a layer; what holds it is inside the layer's group.
    shards : tuple of str
        Kinds of shards that the step writes.
    version : int
        Number of its algorithm. Raise it when the same input gives another result, and for nothing else.
    """

    name: str
    requires: tuple[str, ...] = ()
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_layer: frozenset[str] = frozenset()
    shards: tuple[str, ...] = ()
    version: int = 1


S = TypeVar("S", bound=Declaration)


class Graph(Generic[S]):
    """Steps, ordered by what they require.

    Parameters
    ----------
    steps : iterable of Declaration
        In any order.

    Raises
    ------
    ValueError
        If a step requires what no step makes, or two of them require each other.
    """

    def __init__(self, steps: Iterable[S]) -> None:
        waiting, self._steps = sorted(steps, key=lambda step: step.name), dict[str, S]()
        self._maker = {key: step for step in waiting for key in (step.name, *step.outputs)}
        while waiting:
            ready = [step for step in waiting if self._before(step) <= set(self._steps)]
            if not ready:
                raise ValueError(f"nothing makes what these require: {', '.join(s.name for s in waiting)}")
            self._steps[ready[0].name] = ready[0]
            waiting.remove(ready[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the steps, each after those that it requires."""
        return tuple(self._steps)

    def __getitem__(self, name: str) -> S:
        """Return the step called `name`.

        Raises
        ------
        UsageError
            If there is none.
        """
        if name not in self._steps:
            raise UsageError(f"step '{name}' is unknown; choose one of: {', '.join(self._steps)}.")
        return self._steps[name]

    def up_to(self, name: str) -> list[S]:
        """Return the steps that a step needs, and itself, in their order."""
        needed, wanted = set[str](), {name}
        while wanted:
            needed |= wanted
            wanted = {before for step in wanted for before in self._before(self[step])} - needed
        return [step for step in self._steps.values() if step.name in needed]

    def makes(self, key: str) -> bool:
        """Say whether a step makes the result `key`."""
        return key.partition("/")[0] in self._maker

    def maker(self, key: str) -> S:
        """Return the step that makes the result `key`."""
        return self._maker[key.partition("/")[0]]

    def outputs(self, key: str) -> list[str]:
        """Return the groups and datasets that hold the result `key`; "*" stands for every layer."""
        result, _, layer = key.partition("/")
        step = self._maker[result]
        inside = f"layers/{layer or '*'}/" if result in step.by_layer else ""
        return [inside + name for name in step.outputs[result]]

    def after(self, key: str) -> list[str]:
        """Return the keys of all results that are made from the result `key`, in the order of the steps.

        What is made from one layer's result is the same layer's result, as long as there is one per layer.
        """
        found: dict[str, None] = {}
        waiting = [key]
        while waiting:
            made_from = waiting.pop()
            for made in self._made_from(made_from):
                if made not in found:
                    found[made] = None
                    waiting.append(made)
        order = [made for step in self._steps.values() for made in step.outputs]
        return sorted(found, key=lambda made: order.index(made.partition("/")[0]))

    def _made_from(self, key: str) -> Iterable[str]:
        """Yield the keys of the results that are made from `key` directly."""
        result, _, layer = key.partition("/")
        step = self._maker[result]
        made = [(step, other) for other in list(step.outputs)[list(step.outputs).index(result) + 1 :]]
        for other_step in self._steps.values():
            if any(required == step.name or _same(key, required) for required in other_step.requires):
                made += [(other_step, other) for other in other_step.outputs]
        for owner, other in made:
            alike = layer and result in step.by_layer and other in owner.by_layer
            yield f"{other}/{layer}" if alike else other

    def _before(self, step: Declaration) -> set[str]:
        """Names of the steps that a step requires directly; itself where nothing makes what it requires."""
        return {self._maker.get(required.partition("/")[0], step).name for required in step.requires}


def _same(key: str, required: str) -> bool:
    """Say whether one of two keys is the other one, or a part of it."""
    return f"{key}/".startswith(f"{required}/") or f"{required}/".startswith(f"{key}/")
