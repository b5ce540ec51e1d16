"""Which rule goes where: named composites, rule names with parameters, and per-layer overrides.

Composites that zennit (arXiv 2106.13200) has too go by its names. ``epsilon-gamma`` is its ``epsilon-gamma-box`` for
inputs without bounds (Montavon et al. 2019). ``attnlrp`` is AttnLRP (Achtibat et al. 2024, arXiv 2402.05602);
``attnlrp-gamma`` is that with the gamma rule for layers with weights, by which its authors take the noise out of vision
transformers; ``cp-lrp-gamma`` has the same rules for layers with weights, but attention and norms as CP-LRP (Ali et al.
2022, arXiv 2202.07304). ``hudd-2021`` is what the authors of HUDD ran.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from hudd.errors import UsageError
from hudd.lrp.rules import (
    AlphaBeta,
    Epsilon,
    Epsilon2021,
    Flat,
    Gamma,
    Rule,
    ZBox,
    ZPlus,
    ZPlus2021,
)
from hudd.parts import RULES
from hudd.specs import is_factory

_FORM = re.compile(r"\s*([^\s()]+)\s*(?:\(([^()]*)\))?\s*")  # "alpha-beta(2, 1)", "package.module:Rule(0.5)"
_RECOMMENDED = "recommended"  # known once the model is captured


@dataclass(frozen=True)
class Composite:
    """A rule for every contraction, and how the operations without weights behave.

    Attributes
    ----------
    name : str
        For error messages and provenance.
    convolution, linear : Rule
        For convolutions (transposed ones too) and for linear layers.
    first : Rule or None
        For the contractions that read the model's input; None: as the others.
    overrides : tuple of (str, Rule)
        Module path globs, the last match wins.
    epsilon, stabilizer : float, str
        For residual sums, averages and affine operations.
    last_window_wins : bool
        Overlapping max-pooling windows overwrite each other, as in the authors' 2021 code.
    attention : {"cp-lrp", "attnlrp"}
        Attention weights as a gate and norms as linear maps (Ali et al. 2022), or as AttnLRP treats them.
    """

    name: str
    convolution: Rule
    linear: Rule
    first: Rule | None = None
    overrides: tuple[tuple[str, Rule], ...] = ()
    epsilon: float = 1e-6
    stabilizer: str = "sign"
    last_window_wins: bool = False
    attention: str = "cp-lrp"

    def rule_for(self, *names: str, convolution: bool, first: bool) -> Rule:
        """The rule of one contraction, by any of its names."""
        for pattern, rule in reversed(self.overrides):
            if any(fnmatchcase(name, pattern) for name in names):
                return rule
        if first and self.first is not None:
            return self.first
        return self.convolution if convolution else self.linear


COMPOSITES: dict[str, Composite] = {
    composite.name: composite
    for composite in (
        Composite("epsilon-plus", ZPlus(), Epsilon()),
        Composite("epsilon-plus-flat", ZPlus(), Epsilon(), first=Flat()),
        Composite("epsilon-alpha2-beta1", AlphaBeta(), Epsilon()),
        Composite("epsilon-alpha2-beta1-flat", AlphaBeta(), Epsilon(), first=Flat()),
        Composite("epsilon-gamma-box", Gamma(), Epsilon(), first=ZBox()),
        Composite("epsilon-gamma", Gamma(), Epsilon()),
        Composite("attnlrp", Epsilon(), Epsilon(), attention="attnlrp"),
        Composite("attnlrp-gamma", Gamma(), Gamma(gamma=0.05), attention="attnlrp"),
        Composite("cp-lrp-gamma", Gamma(), Gamma(gamma=0.05)),
        Composite(
            "hudd-2021",
            Epsilon2021(),
            ZPlus2021(),
            epsilon=1e-9,
            stabilizer="positive",
            last_window_wins=True,
        ),
    )
}


def parse_rule(text: str) -> Rule:
    """Make a rule from its name, with its numbers in brackets if they differ from the defaults.

    Raises
    ------
    UsageError
        For an unknown name, or numbers that the rule does not take.
    """
    if text == _RECOMMENDED:
        raise UsageError("'recommended' is chosen for a whole model; give it alone, as rules='recommended'.")
    if text in COMPOSITES:
        raise UsageError(f"'{text}' is a composite, which only '*' takes; choose one of: {', '.join(RULES)}.")
    match = _FORM.fullmatch(text)
    if match is None or not _known(match[1]):
        raise _unknown(text, RULES)
    name = match[1]
    factory = RULES.find(name)
    names = _numbers(factory)
    try:
        numbers = [float(number) for number in match[2].split(",")] if match[2] else []
    except ValueError:
        raise UsageError(f"LRP rule '{text}' has something other than numbers in its brackets.") from None
    if len(numbers) > len(names):
        allowed = f"at most {len(names)} ({', '.join(names)})" if names else "none"
        raise UsageError(
            f"LRP rule '{text}' has {len(numbers)} numbers in its brackets, but '{name}' takes {allowed}."
        )
    rule = RULES.make(name, **dict(zip(names, numbers)))
    if not isinstance(rule, Rule):
        raise UsageError(
            f"LRP rule '{name}' is an object of type {type(rule).__name__}; it must be made of hudd.extend.Rule."
        )
    return rule


def rule_marks(rules: object) -> dict[str, str]:
    """Return what tells the versions of other packages' rules apart, by the text that names them.

    Parameters
    ----------
    rules : str or mapping
        As for :func:`composite_of`; hudd's own rules have no mark.
    """
    found = {}
    for text in rules.values() if isinstance(rules, Mapping) else [rules]:
        match = _FORM.fullmatch(text) if isinstance(text, str) and text not in COMPOSITES else None
        mark = RULES.mark(match[1]) if match and _known(match[1]) else None
        if mark is not None:
            found[str(text)] = mark
    return found


def _known(name: str) -> bool:
    return name in RULES or is_factory(name)


def _numbers(factory: Any) -> tuple[str, ...]:
    """What the numbers in brackets set, in order: a rule's own saying, or its parameters by position."""
    own: tuple[str, ...] | None = getattr(factory, "numbers", None)
    if own is not None:
        return own
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(factory).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind in by_position)


def _unknown(text: str, known: Iterable[str]) -> UsageError:
    return UsageError(
        f"LRP rule '{text}' is unknown; choose one of: {', '.join(known)}; or give package.module:factory."
    )


def _rule(choice: object, where: str) -> Rule:
    """A rule or one by its name; anything else is refused."""
    if isinstance(choice, Rule):
        return choice
    if not isinstance(choice, str):
        raise UsageError(
            f"the rule of '{where}' is {choice!r}, but must be a rule or the name of one; choose one of: "
            f"{', '.join(RULES)}."
        )
    return parse_rule(choice)


def _named(choice: object, *also: str) -> Composite:
    """What all layers have: a composite, or one rule; `also` are names that may stand there too."""
    if isinstance(choice, Composite):
        return choice
    if isinstance(choice, str):
        if choice in COMPOSITES:
            return COMPOSITES[choice]
        match = _FORM.fullmatch(choice)
        if choice != _RECOMMENDED and (match is None or not _known(match[1])):
            raise _unknown(choice, (*RULES, *COMPOSITES, *also))
    rule = _rule(choice, "*")
    return Composite(choice if isinstance(choice, str) else type(choice).__name__, rule, rule)


def composite_of(rules: str | Rule | Composite | Mapping[str, str | Rule]) -> Composite:
    """Make a composite from what a user gives.

    Parameters
    ----------
    rules : str, Rule, Composite or mapping
        A composite's name; a rule's name (``"gamma(0.1)"``) for every layer; or a mapping of module path globs to
        rules, where ``"*"`` names the composite or rule of all other layers (``"epsilon-plus"`` if it is not there).

    Raises
    ------
    UsageError
        If a name is unknown or the mapping is malformed.
    """
    if isinstance(rules, (str, Rule, Composite)):
        return _named(rules, _RECOMMENDED)
    if not isinstance(rules, Mapping):
        raise UsageError(
            f"rules must be a name, a rule or a mapping of module globs to rules, but it is {rules!r}."
        )
    base = _named(rules.get("*", "epsilon-plus"))
    overrides = [(pattern, _rule(choice, pattern)) for pattern, choice in rules.items() if pattern != "*"]
    name = ", ".join(
        [base.name, *(f"{pattern}={choice}" for pattern, choice in rules.items() if pattern != "*")]
    )
    return replace(base, name=name, overrides=tuple(overrides))
