"""The same call gives the same study; a change recomputes what depends on it and nothing else."""

import h5py
import numpy as np
import pytest

from hudd.study import Study

pytestmark = pytest.mark.slow


def datasets(study):
    """Every dataset of study.h5, by name, as bytes."""
    found = {}
    with h5py.File(study.path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: np.asarray(value).tolist() for name, value in found.items()}


def same(a, b):
    a, b = datasets(a), datasets(b)
    assert a.keys() == b.keys()
    different = [name for name in a if str(a[name]) != str(b[name])]
    assert not different


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"batch_size": 500, "workers": 1}])
def test_batches_and_workers_change_no_result(finished, material, tmp_path, options):
    other = Study.create(tmp_path / "other", **material, **options).run()
    np.testing.assert_array_equal(other.split("test").prediction, finished.split("test").prediction)
    np.testing.assert_array_equal(other.clusters.label, finished.clusters.label)
    np.testing.assert_array_equal(other.selection.image, finished.selection.image)
    np.testing.assert_array_equal(
        other.retraining["hudd"][0]["after"], finished.retraining["hudd"][0]["after"]
    )


def test_the_same_call_gives_the_same_study(finished, material, tmp_path):
    same(finished, Study.create(tmp_path / "again", **material).run())


def test_a_finished_study_computes_nothing(finished):
    marks, content = finished.marks(), (finished.path / "study.h5").read_bytes()
    finished.run()
    assert finished.marks() == marks
    assert (finished.path / "study.h5").read_bytes() == content


def changed_steps(study, **settings):
    before = study.marks()
    study.configure(**settings).run()
    after = study.marks()
    return {name.split("/")[0] for name in after if after[name] != before.get(name)}


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"batch_size": 5, "workers": 1}, set()),
        ({"factor": 0.3}, {"select", "retrain"}),
        ({"training": {"epochs": 1}}, {"retrain"}),
        ({"max_clusters": 5}, {"cluster", "choice", "select", "retrain", "evaluate"}),
        ({"layer": "0"}, {"choice", "select", "retrain", "evaluate"}),
        (
            {"pool": "channel"},
            {"layers", "heatmaps", "distances", "cluster", "choice", "select", "retrain", "evaluate"},
        ),
        ({"runs": 2}, {"retrain"}),
    ],
)
def test_a_changed_setting_recomputes_what_depends_on_it(finished, settings, steps):
    assert changed_steps(finished, **settings) == steps


def test_a_setting_changed_and_changed_back(finished, material, tmp_path):
    finished.configure(max_clusters=5).cluster()
    assert not finished.has("selection")
    finished.configure(max_clusters=None).run()
    same(finished, Study.create(tmp_path / "fresh", **material).run())


def test_changed_data_are_noticed(finished, material, tmp_path):
    arrays = dict(np.load(material["test"]))
    arrays["labels"] = arrays["labels"][::-1].copy()
    np.savez(tmp_path / "test.npz", **arrays)
    assert changed_steps(finished, test=str(tmp_path / "test.npz")) >= {"test", "heatmaps", "cluster"}


def test_fewer_modes_take_the_others_away(finished):
    finished.configure(modes=("hudd", "random")).retrain()
    assert set(finished.retraining) == {"hudd", "random"}
    bags = [runs[0]["bag"] for runs in finished.retraining.values()]
    assert len(bags[0]) == len(bags[1])
    finished.configure(modes=("hudd",)).retrain()
    assert set(finished.retraining) == {"hudd"}
