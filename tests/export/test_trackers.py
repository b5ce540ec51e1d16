"""What experiment trackers read of a study: TensorBoard by its own reader, MLflow by its own client."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hudd.errors import HuddError
from hudd.export import FORMATS, export, export_one
from hudd.export.figures import Figure, figures, settings
from hudd.export.mlflow import _without_password
from hudd.parts import EXPORTERS, TRACKERS
from hudd.review.view import view
from hudd.summary import cause_facts

HISTORY = {
    "epoch": np.array([1, 2, 3]),
    "loss": np.array([0.5, np.nan, 0.25]),
    "lr": np.array([0.1, 0.1, 0.01]),
}
MODE = "my.package:strategy/é"


@pytest.fixture
def study(make_study: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study that was retrained twice by one strategy."""
    made = make_study(names=["<b>stop</b>", "b", "c"])
    numbers = {"accuracy_before": 0.75, "improved": 20, "worsened": 2, "best_epoch": 3, "bag": np.arange(5)}
    outcome = {"before": made.split("test").correct, "after": made.split("test").correct}
    runs = [{**numbers, **outcome, "accuracy_after": after, "history": HISTORY} for after in (0.875, 0.9375)]
    monkeypatch.setattr(type(made), "retraining", {MODE: runs})
    has = made.has
    made.has = lambda name: name == "retraining" or has(name)
    made.provenance["settings"] = {
        "model": "cnn.py:cnn", "seed": 0, "weights": None, "names": ["ü", "b\n"], "long": "x" * 9_999,
    }  # fmt: skip
    made.path.mkdir()
    return made


def by_name(told: list[Figure]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for figure in told:
        series = found.setdefault(figure.name, {})
        assert figure.step not in series
        series[figure.step] = figure.value
    return found


def test_figures_are_those_of_the_study(study: Any) -> None:
    told = by_name(figures(view(study)))
    test = study.split("test")
    assert told["test/errors"] == {0: len(study.errors)}
    assert told["test/accuracy"] == {0: test.correct.mean()}
    for cause in cause_facts(view(study)):
        assert told[f"cause_{cause.number}/errors"] == {0: len(cause.rows)}
        assert told[f"cause_{cause.number}/share"] == {0: cause.share}
    strategy = "retraining/my.package_strategy__"
    assert told[f"{strategy}/accuracy_before"] == {0: 0.75, 1: 0.75}
    assert told[f"{strategy}/accuracy_after"] == {0: 0.875, 1: 0.9375}
    assert told[f"{strategy}/run_1/loss"] == {1: 0.5, 3: 0.25}  # no number that is none
    assert told[f"{strategy}/run_0/lr"] == {1: 0.1, 2: 0.1, 3: 0.01}


def test_settings_are_short_lines_of_text(study: Any) -> None:
    told = settings(view(study))
    assert told["model"] == "cnn.py:cnn"
    assert told["seed"] == "0"
    assert "weights" not in told
    assert json.loads(told["names"]) == ["ü", "b\n"]
    assert told["long"] == "x" * 500


def test_tensorboard_reads_the_figures(study: Any, tmp_path: Path, peer: Any) -> None:
    peer("tensorboard")
    accumulator = peer("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    (path,) = export(study, tmp_path / "out", formats=("tensorboard",))
    events = accumulator(str(path.parent))
    events.Reload()
    expected = by_name(figures(view(study)))
    assert set(events.Tags()["scalars"]) == set(expected)
    for name, series in expected.items():
        read = {event.step: event.value for event in events.Scalars(name)}
        assert read == pytest.approx(series, rel=1e-6), name
    (text,) = events.Tensors("settings/text_summary")
    assert b"model = cnn.py:cnn" in text.tensor_proto.string_val[0]
    (text,) = events.Tensors("known_failures/text_summary")
    assert text.tensor_proto.string_val[0].startswith(b"## Known failures")


@pytest.fixture
def mlflow(peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow with a store of files; a database would need more packages."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return peer("mlflow")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # that stores of files will go
def test_mlflow_keeps_figures_settings_and_report(study: Any, tmp_path: Path, mlflow: Any) -> None:
    (study.path / "report").mkdir()
    (study.path / "report" / "index.html").write_text("<p>all that was found")
    (study.path / "report" / "elsewhere").symlink_to("/etc/hostname")
    (path,) = export(study, tmp_path / "out", formats=("mlflow",))
    noted = json.loads(path.read_text())
    client = mlflow.MlflowClient()
    run = client.get_run(noted["run_id"])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "study")
    assert client.get_experiment(run.info.experiment_id).name == noted["experiment"] == "hudd"
    for name, series in by_name(figures(view(study))).items():
        assert {one.step: one.value for one in client.get_metric_history(run.info.run_id, name)} == series
    assert run.data.params == settings(view(study))
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["known-failures.md", "report"]
    assert [one.path for one in client.list_artifacts(run.info.run_id, "report")] == ["report/index.html"]

    again = json.loads(export(study, tmp_path / "other", formats=("mlflow",))[0].read_text())
    assert again == noted  # the same findings are one run
    study.provenance["settings"]["seed"] = 1
    other = json.loads(export(study, tmp_path / "third", formats=("mlflow",))[0].read_text())
    assert other["run_id"] != noted["run_id"]
    assert len(client.search_runs([run.info.experiment_id])) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_mlflow_refuses_is_said(
    study: Any, tmp_path: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(mlflow.MlflowClient, "log_text", refuse)
    with pytest.raises(HuddError, match=r"MLflow cannot log to 'file:.*disk is full"):
        export(study, tmp_path / "out", formats=("mlflow",))
    assert not (tmp_path / "out").exists()
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("hudd").experiment_id])
    assert run.info.status == "FAILED"


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("tensorboard", "torch.utils.tensorboard", "tensorboard"), ("mlflow", "mlflow", "mlflow")],
)
def test_a_missing_package_is_named(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(HuddError, match=rf"needs {package}; run pip install '\.\[tracking\]'"):
        export_one(study, tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", TRACKERS)
def test_trackers_need_clusters(study: Any, tmp_path: Path, name: str) -> None:
    study.has = lambda _: False
    with pytest.raises(HuddError, match="has no clusters yet"):
        export_one(study, tmp_path / "out", name)


def test_formats_are_trackers_or_files() -> None:
    assert set(EXPORTERS.own) == {*FORMATS, *TRACKERS}
    assert not set(FORMATS) & set(TRACKERS)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://me:secret@host:5000/a?b=c", "https://host:5000/a?b=c"),
        ("https://me:a@b@host", "https://host"),
        ("https://host/@x", "https://host/@x"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
        ("file:///tmp/store", "file:///tmp/store"),
        ("databricks", "databricks"),
    ],
)
def test_passwords_are_not_told(address: str, told: str) -> None:
    assert _without_password(address) == told
