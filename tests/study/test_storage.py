"""What is kept and how changes time and space, never the result; any step can be forced."""

import importlib.util

import h5py
import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.store import COMPRESSIONS
from hudd.study import STEPS, Study

pytestmark = pytest.mark.slow


def datasets(study):
    found = {}
    with h5py.File(study.path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: str(np.asarray(value).tolist()) for name, value in found.items()}


def shard_bytes(study, kind="heatmaps"):
    return sum(path.stat().st_size for path in (study.path / "shards" / kind).rglob("*.h5"))


def beside_heatmaps(found):
    """Datasets that stay where heatmaps are not kept: all but these and the axes that only they have."""
    return {
        name: value
        for name, value in found.items()
        if not name.startswith("layers/")
        or name.split("/")[2] not in ("relevance", "channel", "row", "column", "unit")
    }


@pytest.mark.parametrize("store", ["selected", "none"])
def test_what_is_not_kept_is_made_again(finished, material, tmp_path, store):
    study = Study.create(tmp_path / "study", **material, store=store).run()
    assert beside_heatmaps(datasets(study)) == beside_heatmaps(datasets(finished))
    kept = {layer for layer in study.layers if study.has(f"layers/{layer}/relevance")}
    assert kept == ({study.chosen_layer} if store == "selected" else set())
    assert not (study.path / "shards" / "passing").exists()
    assert shard_bytes(study) < shard_bytes(finished)
    rows = study.spatial_heatmaps(np.arange(2), study.chosen_layer)
    np.testing.assert_allclose(
        rows, finished.spatial_heatmaps(np.arange(2), study.chosen_layer), rtol=1e-4, atol=1e-6
    )
    marks = study.marks()
    study.configure(store="all").run()
    assert datasets(study) == datasets(finished)
    changed = {name for name, mark in study.marks().items() if marks.get(name) != mark}
    assert changed == {"heatmaps"}


def test_float16_takes_half_the_space(finished, material, tmp_path):
    study = Study.create(tmp_path / "study", **material, dtype="float16").run()
    for layer in study.layers:
        half, single = study.heatmaps_of(layer), finished.heatmaps_of(layer)
        assert (half.dtype, single.dtype) == (np.float16, np.float32)
        np.testing.assert_array_equal(half.numpy(), single.numpy().astype(np.float16))
        np.testing.assert_allclose(study.distances_of(layer), finished.distances_of(layer), atol=2e-3)
    assert shard_bytes(study) < 0.75 * shard_bytes(finished)  # the rest is headers


@pytest.mark.parametrize("compression", list(COMPRESSIONS)[1:])
def test_compression_keeps_every_number(finished, compression, read_study):
    if compression not in ("gzip", "lzf") and not importlib.util.find_spec("hdf5plugin"):
        with pytest.raises(UsageError, match=r"needs hdf5plugin: run pip install '\.\[compression\]'"):
            finished.configure(compression=compression)
        return
    before = datasets(finished)
    finished.configure(compression=compression).force("heatmaps").run()
    assert datasets(finished) == before
    assert read_study(finished.path).keys() == before.keys()
    with h5py.File(next((finished.path / "shards" / "heatmaps").rglob("*.h5"))) as shard:
        assert all(rows.id.get_create_plist().get_nfilters() for rows in shard.values())


@pytest.mark.parametrize("step", STEPS)
def test_a_forced_step_is_taken_again_with_all_that_follows(finished, step):
    before, marks = datasets(finished), set(finished.marks())
    finished.force(step)
    gone = {name.split("/")[0] for name in marks - set(finished.marks())}
    assert step in gone or (step == "cluster" and "choice" in gone)
    assert "test" not in gone or step == "test"
    assert Study.open(finished.path).summary()["seed"] == 0
    finished.run()
    assert datasets(finished) == before
    assert set(finished.marks()) == marks


def test_force_of_no_step(finished):
    with pytest.raises(UsageError, match="step 'sleep' is unknown; choose one of: test, heatmaps"):
        finished.force("sleep")


def test_the_independent_reader_reads_a_finished_study(finished, read_study):
    found = read_study(finished.path)
    assert found.keys() == datasets(finished).keys()
    np.testing.assert_array_equal(found["clusters/label"], finished.clusters.label)
    for layer in finished.layers:
        np.testing.assert_array_equal(found[f"layers/{layer}/relevance"], finished.heatmaps_of(layer).numpy())
