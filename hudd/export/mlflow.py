"""A study as a run of MLflow: its figures, settings and report."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from hudd.errors import HuddError
from hudd.export.base import Exporter
from hudd.export.figures import Figure, figures, settings
from hudd.export.model_card import known_failures
from hudd.specs import sentence
from hudd.text import printable, to_json

if TYPE_CHECKING:
    from hudd.review.view import View

_METRICS, _PARAMS = 1000, 100  # that MLflow takes at once
_TAG = "hudd.findings"


def _write(results: View, folder: Path) -> list[Path]:
    """Log a run to where MLflow's own settings lead, and write ``run.json``, which says where that is.

    ``MLFLOW_TRACKING_URI`` says where to, ``MLFLOW_EXPERIMENT_NAME`` the experiment, ``hudd`` by default. The run has
    :func:`hudd.export.figures.figures` as metrics, the settings that were given as parameters, and as artifacts
    the causes in Markdown and the report, where ``hudd report`` has written it into the study. What was logged before
    is not logged again: the same findings have one run.
    """
    told, given, card = figures(results), settings(results), "\n".join(known_failures(results))
    try:
        import mlflow
    except ImportError:
        raise HuddError(
            "the MLflow export needs mlflow; run pip install '.[tracking]' in hudd's source tree."
        ) from None
    found = [results.path.name, [[f.name, f.value, f.step] for f in told], given, card, results.review_digest]
    digest = str(xxhash.xxh3_128_hexdigest(to_json(found)))
    address = _without_password(mlflow.get_tracking_uri())
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "hudd"
    try:
        client = mlflow.MlflowClient()
        run = _logged(client, experiment, digest) or _log(
            client, experiment, digest, results, told, given, card
        )
    except HuddError:
        raise
    except Exception as error:  # of MLflow, of its store or of the network
        reason = _without_password(printable(sentence(error)))
        raise HuddError(
            f"MLflow cannot log to '{address}': {type(error).__name__}: {reason} Set MLFLOW_TRACKING_URI to a "
            "server or a store that can be written."
        ) from error
    path = folder / "run.json"
    path.write_bytes(to_json({"tracking_uri": address, "experiment": experiment, "run_id": run}, indent=1))
    return [path]


MLFLOW = Exporter("mlflow", _write, folder="mlflow")


def _logged(client: Any, experiment: str, digest: str) -> str | None:
    """Return the id of the run that has these findings, if there is one."""
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return None
    wanted = f"tags.`{_TAG}` = '{digest}' and attributes.status = 'FINISHED'"
    runs = client.search_runs([known.experiment_id], wanted, max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _log(
    client: Any,
    experiment: str,
    digest: str,
    results: View,
    told: list[Figure],
    given: dict[str, str],
    card: str,
) -> str:
    """Make a run and return its id; one that cannot be completed is marked as failed."""
    from mlflow.entities import Metric, Param

    known = client.get_experiment_by_name(experiment)
    number = client.create_experiment(experiment) if known is None else known.experiment_id
    made = client.create_run(number, tags={_TAG: digest}, run_name=printable(results.path.name))
    run, now = str(made.info.run_id), int(time.time() * 1000)
    try:
        metrics = [Metric(figure.name, figure.value, now, figure.step) for figure in told]
        params = [Param(name, value) for name, value in given.items()]
        for start in range(0, len(metrics), _METRICS):
            client.log_batch(run, metrics=metrics[start : start + _METRICS])
        for start in range(0, len(params), _PARAMS):
            client.log_batch(run, params=params[start : start + _PARAMS])
        client.log_text(run, card, "known-failures.md")
        report = results.path / "report"
        for path in sorted(report.rglob("*")) if not report.is_symlink() else []:
            if path.is_file() and not path.is_symlink():  # a link may lead out of the study
                client.log_artifact(run, str(path), path.parent.relative_to(results.path).as_posix())
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)
    return run


def _without_password(text: str) -> str:
    """Return a text without the names and passwords that addresses in it may hold."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)
