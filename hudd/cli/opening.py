"""Studies opened, made and served as the options of a command say."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hudd.cli.options import FIELDS, Given
from hudd.cli.values import read
from hudd.errors import UsageError
from hudd.presets import Preset, get_preset
from hudd.settings import TrainingSettings, TransformSettings, fields_of

if TYPE_CHECKING:
    from hudd.study import Results, Study
    from hudd.study.settings import Settings


def open_study(
    path: Path,
    *,
    given: Given | None = None,
    break_lock: bool = False,
    force: str | None = None,
    upgrade: bool = False,
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
    study.configure(**_settings(study.settings, given or {}))
    return study.force(force) if force else study


def open_results(path: Path) -> Results:
    """Open a study to read what it has found; what computes is loaded only if another hudd has made it."""
    from hudd.study.results import Results
    from hudd.study.versions import is_foreign, tell_version

    results = Results(path)
    with results.file.reading() as h5:
        if is_foreign(h5):
            from hudd.study.study import GRAPH

            tell_version(h5, results.path, GRAPH)
    return results


def open_or_create(
    path: Path,
    *,
    given: Given | None = None,
    break_lock: bool = False,
    force: str | None = None,
    upgrade: bool = False,
) -> Study:
    """Open the study if there is one, else make it."""
    from hudd.ranks import Ranks, join
    from hudd.study import Study

    join()
    if Ranks.current().lead((path / "study.h5").exists):
        return open_study(path, break_lock=break_lock, given=given, force=force, upgrade=upgrade)
    given = given or {}
    if missing := [name for name in ("model", "test") if name not in given]:
        raise UsageError(f"there is no study in '{path}' yet, and to make one --{missing[0]} is needed.")
    return Study.create(path, **_settings(None, given))


def _settings(old: Settings | None, typed: dict[str, Any]) -> dict[str, Any]:
    """Turn what was typed into fields of Settings; what was not typed stays, or gives way to what was."""
    given = {name: read(FIELDS[name], value) for name, value in typed.items()}
    for whole, parts in {"transform": TransformSettings, "training": TrainingSettings}.items():
        names = [name for name, each in fields_of(parts).items() if each.option is not None and name in given]
        if names:
            before = (getattr(old, whole) if old else None) or {}
            given[whole] = before | {name: given.pop(name) for name in names}
    if "modes" in given:
        given.setdefault("runs", _RUNS)
    for name, strategy in {"cause": "cause", "images": "given"}.items():
        if name in given:
            given.setdefault("strategy", strategy)
    if "factor" in given and "budget" not in given:
        given["budget"] = None
    if "budget" in given and "factor" not in given:
        given["factor"] = None
    if old and {"preset", "clusterer"} & set(given):
        from hudd.clustering import is_counted  # seconds, and the help needs none

        if not is_counted(_preset(old, given).clusterer):
            given = {"max_clusters": None, "cluster_size": None, **given}
    if old and {"preset", "features"} & set(given):
        from hudd.features import feature_kind

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


def serve_page(
    study: Study, page: Literal["report", "label"], host: str, port: int, language: str | None
) -> None:
    """Serve one of the study's local pages until interrupted."""
    from hudd.cli.printing import console, in_line
    from hudd.server.serve import serve

    def ready(address: str) -> None:
        console.print(f"Open [bold]{in_line(address)}[/]   (Ctrl-C ends it)", soft_wrap=True)

    with suppress(KeyboardInterrupt):
        serve(study, page, host=host, port=port, language=language, ready=ready)
