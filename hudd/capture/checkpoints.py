"""Which tensors of a checkpoint are a network's weights, whatever trainer wrote it and whatever it wrapped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from hudd.capture.weights import Entry
from hudd.errors import UsageError

# Modules that wrap others and add their attribute's name: DataParallel and DDP, torch.compile, FSDP, checkpointing.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# What trainers keep in addition to the network: the count of AveragedModel, losses with buffers, metrics.
_BESIDE = re.compile(r"(n_averaged|(\w+_)?(loss|criterion|metrics?|acc|accuracy)(_\w+)?\..+)$")


@dataclass(frozen=True)
class Found:
    """The weights of a network in a checkpoint.

    Attributes
    ----------
    state : dict of str to torch.Tensor
        By the network's own names.
    told : str
        Where they were and what was left out, in words; empty for a file that holds them and nothing else.
    """

    state: dict[str, torch.Tensor]
    told: str


@dataclass(frozen=True)
class _Fit:
    prefix: str
    found: Mapping[str, Entry]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)


def find_weights(
    entries: list[Entry],
    wanted: Mapping[str, torch.Tensor],
    *,
    where: str,
    key: str | None = None,
    prefix: str | None = None,
) -> Found:
    """Find the tensors that are a network's weights: the same names below one prefix, and the same shapes.

    Parameters
    ----------
    entries : list of Entry
        All tensors of the file.
    wanted : mapping of str to torch.Tensor
        The network's state dict.
    where : str
        File and network, for messages: "'w.pth' ... 'net'".
    key : str, optional
        Look only below this entry: ``ema``, or ``state_dict.teacher``.
    prefix : str, optional
        What to take off the names, in place of what is found.

    Raises
    ------
    UsageError
        If nothing fits, or several sets of different values do, with the option that chooses.
    """
    chosen = _below(entries, key, where) if key else entries
    if prefix:
        chosen = [Entry(entry.place, entry.name.removeprefix(prefix), entry.value) for entry in chosen]
    plain = not prefix and _plain_names(wanted, chosen)
    fits = [_fit(at, chosen, wanted, plain) for at in _prefixes(chosen, wanted, plain, fixed=bool(prefix))]
    whole = [fit for fit in fits if fit.whole]
    if not whole:
        raise _misfit(max(fits, key=lambda fit: (len(fit.found), -len(fit.prefix))), entries, where)
    first = whole[0]
    others = [fit for fit in whole[1:] if not _equal(first, fit)]
    if others:
        names = [fit.prefix.rstrip(".") or "(the names without a prefix)" for fit in (first, *others)]
        raise UsageError(
            f"weights {where} hold {len(names)} sets of weights that fit: {', '.join(names)}; choose one with "
            f"`weights_key`, such as `weights_key='{names[-1]}'`."
        )
    state = {name: entry.value for name, entry in first.found.items()}
    return Found(state, _description(first, wanted))


def _below(entries: list[Entry], key: str, where: str) -> list[Entry]:
    found = [entry for entry in entries if f"{_full(entry)}.".startswith(f"{key.rstrip('.')}.")]
    if not found:
        raise UsageError(
            f"weights {where} have no entry '{key}'; give `weights_key` one of: {_tops(entries)}."
        )
    return found


def _full(entry: Entry) -> str:
    return ".".join((*entry.place, entry.name))


def _tops(entries: list[Entry]) -> str:
    """The names that an entry may be chosen by: of dictionaries, and of what the state dicts in them begin with."""
    tops = Counter(".".join((*entry.place, entry.name.partition(".")[0])) for entry in entries)
    places = {".".join(entry.place): None for entry in entries if entry.place}
    return list_first([*places, *(top for top in tops if top not in places)], 8)


def _plain_names(wanted: Mapping[str, torch.Tensor], entries: list[Entry]) -> bool:
    """Whether names can be compared without wrappers: no two of them become the same."""
    sets = [
        list(wanted),
        *([_full(e) for e in entries if e.place == place] for place in {e.place for e in entries}),
    ]
    return all(len({unwrapped(name) for name in names}) == len(names) for names in sets)


def unwrapped(name: str) -> str:
    """A name without the attributes of modules that wrap others."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _prefixes(
    entries: list[Entry], wanted: Mapping[str, torch.Tensor], plain: bool, *, fixed: bool
) -> list[str]:
    """Every prefix below which the network's first weight is; those of the dictionaries where there is none."""
    own = [unwrapped(name) if plain else name for name in wanted if not _is_counter(name)]
    places = list(dict.fromkeys(".".join((*entry.place, "")) for entry in entries))
    if fixed or not own:
        return places
    full = [unwrapped(_full(entry)) if plain else _full(entry) for entry in entries]
    found = {name[: len(name) - len(own[0])] for name in full if f".{name}".endswith(f".{own[0]}")}
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix)) or places


def _fit(prefix: str, entries: list[Entry], wanted: Mapping[str, torch.Tensor], plain: bool) -> _Fit:
    """How the names below `prefix` are those of the network."""
    named = {(unwrapped(name) if plain else name): name for name in wanted}
    found: dict[str, Entry] = {}
    extra: list[tuple[Entry, str]] = []
    left_out: list[str] = []
    for entry in entries:
        full = unwrapped(_full(entry)) if plain else _full(entry)
        own = full.removeprefix(prefix)
        if not full.startswith(prefix):
            left_out.append(_full(entry))
        elif own in named:
            found[named[own]] = entry
        else:
            extra.append((entry, own))
    places = {entry.place for entry in found.values()} or {entry.place for entry in entries}
    aside = [entry for entry, own in extra if _BESIDE.match(own) or entry.place not in places]
    unexpected = [entry.name for entry, own in extra if entry not in aside]
    return _Fit(
        prefix,
        found,
        tuple(name for name in wanted if name not in found and not _is_counter(name)),
        tuple(unexpected),
        tuple(
            f"{name} ({_shape(entry.value)}, wanted {_shape(wanted[name])})"
            for name, entry in found.items()
            if entry.value.shape != wanted[name].shape
        ),
        (*left_out, *map(_full, aside)),
    )


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # which old files lack


def _equal(one: _Fit, other: _Fit) -> bool:
    return one.found.keys() == other.found.keys() and all(
        torch.equal(entry.value, other.found[name].value) for name, entry in one.found.items()
    )


def _misfit(best: _Fit, entries: list[Entry], where: str) -> UsageError:
    parts = (
        ("missing", best.missing), ("unexpected", best.unexpected), ("of another shape", best.mismatched)
    )  # fmt: skip
    listed = "; ".join(f"{len(names)} {what}: {list_first(names)}" for what, names in parts if names)
    choose = ""
    if any(entry.place for entry in entries):
        choose = f", or choose an entry of the file with `weights_key` (it has {_tops(entries)})"
    path, _, spec = where.rpartition(" for ")
    return UsageError(
        f"weights {path} do not fit {spec}: {listed}. Give the weights of this very network{choose}."
    )


def _description(fit: _Fit, wanted: Mapping[str, torch.Tensor]) -> str:
    parts = [f"read from '{fit.prefix.rstrip('.')}'"] if fit.prefix else []
    wrapped = {part for entry in fit.found.values() for part in _full(entry).split(".") if part in _WRAPPERS}
    wrapped -= {part for name in wanted for part in name.split(".")} | set(fit.prefix.split("."))
    if wrapped:
        parts.append(f"names without {', '.join(repr(part) for part in sorted(wrapped))}")
    if fit.left_out:
        parts.append(f"{len(fit.left_out)} tensors left out: {list_first(fit.left_out)}")
    return "; ".join(parts)


def list_first(names: Iterable[str], most: int = 5) -> str:
    """The first of many names."""
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "scalar"
