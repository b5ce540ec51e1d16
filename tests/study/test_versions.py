"""Studies that another version of hudd has made: told, kept, and computed again when asked for."""

import json
import warnings
from dataclasses import replace

import pytest

from hudd.cli import call
from hudd.cli.opening import open_study
from hudd.errors import HuddError, HuddWarning, UsageError
from hudd.store import MINOR, ShardSet
from hudd.study import STEPS, Study, versions
from hudd.study.graph import Graph
from hudd.study.study import GRAPH

pytestmark = pytest.mark.slow


def marks(study):
    return {name: step["finished"] + step["fingerprint"] for name, step in study.provenance["steps"].items()}


def made_by_another(study, version="0.0.9", **attributes):
    with study.writing() as h5:
        for _, note in versions._notes(h5):
            note.attrs.update({"hudd_version": version, "finished": "then", **attributes})
    return study


def test_every_result_says_which_version_of_its_algorithm_made_it(finished):
    notes = finished.provenance["steps"]
    assert {GRAPH.maker(name).name for name in notes} == set(STEPS)
    assert all(step["algorithm_version"] == GRAPH.maker(name).version for name, step in notes.items())


def test_a_study_of_this_version_says_nothing(finished, capfd):
    assert call(["show", str(finished.path)]) == 0
    assert capfd.readouterr().err == ""


def test_a_study_of_another_version_says_so(finished, capfd):
    made_by_another(finished)
    assert call(["show", str(finished.path)]) == 0
    assert "were made by hudd 0.0.9, and this is hudd" in (err := capfd.readouterr().err)
    assert "none of them would come out otherwise now" in err


def test_results_of_an_older_algorithm_are_kept_until_the_upgrade(finished, monkeypatch, capfd):
    made_by_another(finished)
    steps = [replace(GRAPH[name], version=GRAPH[name].version + (name == "select")) for name in STEPS]
    monkeypatch.setattr("hudd.study.study.GRAPH", Graph(steps))
    before, old = marks(finished), finished.provenance["steps"]["select"]["algorithm_version"]
    assert call(["run", str(finished.path)]) == 0
    err = capfd.readouterr().err
    assert f"select (algorithm {old} of hudd 0.0.9, now {old + 1})" in err
    assert f"'hudd run {finished.path} --upgrade' computes them again" in err
    assert marks(finished) == before
    assert call(["run", str(finished.path), "--upgrade"]) == 0
    after = marks(finished)
    assert {name.partition("/")[0] for name in after if after[name] != before[name]} == {"select", "retrain"}
    assert finished.provenance["steps"]["select"]["algorithm_version"] == old + 1
    capfd.readouterr()
    assert call(["show", str(finished.path)]) == 0
    assert "would come out otherwise now and" not in capfd.readouterr().err


def upgraded(monkeypatch, step):
    """Let a step have a new algorithm."""
    steps = [replace(GRAPH[name], version=GRAPH[name].version + (name == step)) for name in STEPS]
    monkeypatch.setattr("hudd.study.study.GRAPH", Graph(steps))


def algorithms(study, step):
    """The versions of the algorithm in the shards of a step, and in the notes of its results."""
    shards = [path for kind in GRAPH[step].shards for path in (study / "shards" / kind).rglob("0*.h5")]
    headers = [json.loads(path.read_bytes()[:512]) for path in shards]
    notes = Study.open(study).provenance["steps"].items()
    of_step = [note["algorithm_version"] for key, note in notes if GRAPH.maker(key).name == step]
    return {header["algorithm"] for header in headers}, set(of_step)


SHARDED = ("test", "heatmaps", "distances", "select")


@pytest.mark.parametrize("step", SHARDED)
def test_what_an_older_algorithm_has_begun_is_not_mixed_with_new(material, tmp_path, monkeypatch, step):
    for module in ("test", "nearest"):
        monkeypatch.setattr(f"hudd.study.steps.{module}._ROWS_PER_SHARD", 24)
    monkeypatch.setattr("hudd.study.steps.distances.SHARD_BYTES", 4000)
    monkeypatch.setattr(ShardSet, "rows_for", staticmethod(lambda row_bytes: 24))
    study = Study.create(tmp_path / "study", **material)
    if before := GRAPH.up_to(step)[:-1]:
        study.run_step(before[-1].name)
    save, count = ShardSet.save, 0

    def interrupted(self, start, image):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        save(self, start, image)

    with monkeypatch.context() as patch:
        patch.setattr(ShardSet, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.run_step(step)
    assert GRAPH[step].version in algorithms(study.path, step)[0]
    upgraded(monkeypatch, step)
    if algorithms(study.path, step)[1]:  # some of its results were finished
        with pytest.raises(HuddError, match=f"'hudd run {study.path} --upgrade' makes all of it again"):
            Study.open(study.path).run_step(step)
    open_study(study.path, upgrade=True).run_step(step)
    made_by = algorithms(study.path, step)
    assert made_by[0] <= {GRAPH[step].version + 1}
    assert made_by[1] == {GRAPH[step].version + 1}


@pytest.mark.parametrize("step", SHARDED[1:])
def test_a_damaged_shard_of_an_older_algorithm_is_not_made_by_the_new(finished, monkeypatch, step):
    upgraded(monkeypatch, step)
    for kind in GRAPH[step].shards:
        for shard in (finished.path / "shards" / kind).rglob("0*.h5"):
            shard.write_bytes(shard.read_bytes()[:-1])
    study = Study.open(finished.path)
    now = GRAPH[step].version + 1
    with pytest.raises(
        HuddError, match=rf"step '{step}' makes.*version {now - 1} .*this is version {now}.*--upgrade"
    ):
        study.run_step(step)
    open_study(study.path, upgrade=True).run_step(step)
    assert algorithms(study.path, step) == ({now}, {now})


def test_more_of_a_step_is_not_made_by_another_algorithm(finished, monkeypatch):
    upgraded(monkeypatch, "retrain")
    study = Study.open(finished.path).configure(runs=2)
    with pytest.raises(HuddError, match="step 'retrain' makes"):
        study.run()
    assert call(["run", str(study.path), "--upgrade"]) == 0
    assert algorithms(study.path, "retrain")[1] == {GRAPH["retrain"].version + 1}


def test_images_are_not_compared_across_algorithms(finished, monkeypatch):
    upgraded(monkeypatch, "heatmaps")
    study = Study.open(finished.path).force("select")
    with pytest.raises(HuddError, match="step 'heatmaps' makes"):
        study.select()


def test_results_of_a_newer_algorithm_are_kept(finished):
    made_by_another(finished, "9.0", algorithm_version=7)
    with finished.file.reading() as h5:
        assert versions.outdated(h5, GRAPH) == []


def of_format(study, minor, **settings):
    with study.writing() as h5:
        h5.attrs["settings"] = json.dumps({**json.loads(study.settings.to_json()), **settings})
    text = study.file.path
    from hudd.store import study_file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_file, "MINOR", minor)
        with study.writing():
            pass
    return text


def test_a_later_minor_version_is_read_and_what_is_unknown_told(finished):
    of_format(finished, MINOR + 1, sharpness=3)
    told = rf"version 1\.{MINOR + 1} of the format.*1\.{MINOR}.*unknown here are sharpness"
    with pytest.warns(HuddWarning, match=told):
        study = Study.open(finished.path)
    assert study.settings == finished.settings
    assert study.clusters.label.max() > 0
    with pytest.raises(UsageError, match=rf"of version 1\.{MINOR + 1}.*would lose what is later"):
        study.configure(factor=0.5)


def test_an_unknown_setting_of_this_version_is_refused(finished):
    of_format(finished, MINOR, sharpness=3)
    with pytest.raises(UsageError, match="setting 'sharpness' is unknown"):
        Study.open(finished.path)


def test_an_earlier_minor_version_is_read_and_raised_by_a_change(finished):
    of_format(finished, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = Study.open(finished.path).configure(factor=0.5)
    assert study.provenance["minor"] == MINOR
