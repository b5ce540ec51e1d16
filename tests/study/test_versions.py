"""Studies that another version of hudd has made: told, kept, and computed again when asked for."""

import json
import warnings
from dataclasses import replace

import pytest

from hudd.cli import call
from hudd.errors import HuddWarning, UsageError
from hudd.store import MINOR
from hudd.study import STEPS, Study, versions
from hudd.study.graph import Graph
from hudd.study.study import GRAPH


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
    steps = [replace(GRAPH[name], version=2 if name == "select" else 1) for name in STEPS]
    monkeypatch.setattr("hudd.study.study.GRAPH", Graph(steps))
    before = marks(finished)
    assert call(["run", str(finished.path)]) == 0
    err = capfd.readouterr().err
    assert "select (algorithm 1 of hudd 0.0.9, now 2)" in err
    assert f"'hudd run {finished.path} --upgrade' computes them again" in err
    assert marks(finished) == before
    assert call(["run", str(finished.path), "--upgrade"]) == 0
    after = marks(finished)
    assert {name.partition("/")[0] for name in after if after[name] != before[name]} == {"select", "retrain"}
    assert finished.provenance["steps"]["select"]["algorithm_version"] == 2
    capfd.readouterr()
    assert call(["show", str(finished.path)]) == 0
    assert "would come out otherwise now and" not in capfd.readouterr().err


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
    with pytest.warns(HuddWarning, match=r"version 1\.2 of the format.*1\.1.*unknown here are sharpness"):
        study = Study.open(finished.path)
    assert study.settings == finished.settings
    assert study.clusters.label.max() > 0
    with pytest.raises(UsageError, match=r"of version 1\.2.*would lose what is later"):
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
