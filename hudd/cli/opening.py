"""Studies opened, made and served as the options of a command say."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hudd.clustering import is_counted
from hudd.errors import UsageError
from hudd.presets import Preset, get_preset

if TYPE_CHECKING:
    from hudd.study import Study
    from hudd.study.settings import Settings


def open_study(
    path: Path, *, break_lock: bool = False, force: str | None = None, upgrade: bool = False, **choices: Any
) -> Study:
    """Open the study, with the settings that were given on the command line changed.

    Results of another version of hudd are told; with `upgrade`, those that would come out otherwise now are forgotten.
    """
    from hudd.ranks import join
    from hudd.study import Study
    from hudd.study.study import GRAPH
    from hudd.study.versions import outdated, tell_version

    join()
    study = Study.open(path)
    study.journal.break_lock = break_lock
    if upgrade:
        with study.file.reading() as h5:
            steps = [old.step for old in outdated(h5, GRAPH)]
        for step in steps:
            study.force(step)
    with study.file.reading() as h5:
        tell_version(h5, study.path, GRAPH)
    study.configure(**_settings(study.settings, choices))
    return study.force(force) if force else study


def open_or_create(
    path: Path, *, break_lock: bool = False, force: str | None = None, upgrade: bool = False, **choices: Any
) -> Study:
    """Open the study if there is one, else make it."""
    from hudd.ranks import Ranks, join
    from hudd.study import Study

    join()
    if Ranks.current().lead((path / "study.h5").exists):
        return open_study(path, break_lock=break_lock, force=force, upgrade=upgrade, **choices)
    if choices.get("model") is None or choices.get("test") is None:
        missing = "--model" if choices.get("model") is None else "--test"
        raise UsageError(f"there is no study in '{path}' yet, and to make one {missing} is needed.")
    return Study.create(path, **_settings(None, choices))


def _settings(old: Settings | None, choices: dict[str, Any]) -> dict[str, Any]:
    """Turn what was typed into fields of Settings; what was not given is left out, or gives way to what was."""
    given = {name: value for name, value in choices.items() if value is not None}
    transform = {
        name: given.pop(name) for name in ("resize", "scale", "mean", "std", "grayscale") if name in given
    }
    if transform:
        known = (old.transform if old else None) or {}
        given["transform"] = known | {
            name: _transform_value(name, value) for name, value in transform.items()
        }
    extra = {name: given.pop(name) for name in _TRAINING if name in given}
    for name in ("freeze", "augment"):
        if name in extra:
            extra[name] = _names(extra[name])
    if extra:
        given["training"] = {**(old.training if old else {}), **extra}
    for name in ("layers", "modes"):
        if name in given:
            given[name] = _names(given[name])
    if "classes" in given:
        from hudd.data.names import read_class_names  # torch takes seconds, and the help needs none

        given["classes"] = read_class_names(given["classes"])
    if "=" in given.get("rules", ""):
        given["rules"] = _pairs("rules", given["rules"])
    if "modes" in given:
        given.setdefault("runs", _RUNS)
    if "units" in given:
        given["units"] = _pairs("units", given["units"])
    if "angles" in given:
        pairs = _pairs("angles", given["angles"])
        given["angles"] = {name: _number("angles", value) for name, value in pairs.items()}
    if given.get("layer") == "auto":
        given["layer"] = None
    if "weights" in given:
        given["weights"] = str(given["weights"])
    if "factor" in given and "budget" not in given:
        given["budget"] = None
    if "budget" in given and "factor" not in given:
        given["factor"] = None
    if old and {"preset", "clusterer"} & set(given) and not is_counted(_preset(old, given).clusterer):
        given = {"max_clusters": None, "cluster_size": None, **given}
    if old and {"preset", "features"} & set(given):
        from hudd.features import feature_kind  # torch takes seconds, and the help needs none

        if not feature_kind(_preset(old, given).features).layered:
            given = {"pool": None, "layer": None, **given}
    return given


def _preset(old: Settings, given: dict[str, Any]) -> Preset:
    """Return the preset to come, with the features and the clusterer that are to stand in place of its own."""
    own = {name: given.get(name) or getattr(old, name) for name in ("features", "clusterer")}
    return replace(
        get_preset(given.get("preset", old.preset)), **{name: own[name] for name in own if own[name]}
    )


_RUNS = 10  # of each strategy of a comparison
_TRAINING = ("epochs", "lr", "optimizer", "schedule", "augment", "freeze", "holdout", "patience", "precision")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(option: str, text: str) -> dict[str, str]:
    """Read 'NAME=VALUE,NAME=VALUE'."""
    # The commas of a rule's numbers stand in brackets: "0=z-box(0, 1),*=epsilon".
    parts = [part.strip().partition("=") for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    if not all(name and value for name, _, value in parts):
        raise UsageError(f"--{option} is '{text}'; write it as NAME=VALUE,NAME=VALUE.")
    return {name.strip(): value.strip() for name, _, value in parts}


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--{option} has '{text}' where a number belongs.") from None


def _transform_value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        if name == "resize":
            sides = [int(part) for part in value.lower().split("x")]
            return (sides * 2)[:2] if len(sides) <= 2 else sides
        numbers = tuple(float(part) for part in value.split(","))
        return numbers[0] if len(numbers) == 1 else numbers
    except ValueError:
        form = "45 or 45x60" if name == "resize" else "0.5 or 0.485,0.456,0.406"
        raise UsageError(f"--{name} is '{value}'; write it as {form}.") from None


def serve_page(study: Study, page: Literal["report", "label"], host: str, port: int) -> None:
    """Serve one of the study's local pages until interrupted."""
    from hudd.cli.printing import console, in_line
    from hudd.server.serve import serve

    def ready(address: str) -> None:
        console.print(f"Open [bold]{in_line(address)}[/]   (Ctrl-C ends it)", soft_wrap=True)

    with suppress(KeyboardInterrupt):
        serve(study, page, host=host, port=port, ready=ready)
