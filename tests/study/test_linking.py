"""Studies whose errors are linked from rows: the same results as from a matrix of distances, which is not kept."""

import contextlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from hudd.clustering import rounds, vectors
from hudd.clustering.nearest import Search
from hudd.errors import HuddError, UsageError
from hudd.export import export
from hudd.report import write_report
from hudd.review.review import Review
from hudd.review.view import view
from hudd.study import Settings, Study, linking
from hudd.summary import describe, headline

pytestmark = pytest.mark.slow


def made(path, material, **choices):
    return Study.create(path, **material | choices)


def assert_same_clusters(found, wanted):
    for layer in wanted.layers:
        ours, theirs = found.clustering_of(layer), wanted.clustering_of(layer)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.medoids, theirs.medoids)
        np.testing.assert_allclose(ours.wicd_curve, theirs.wicd_curve, rtol=1e-4)
        assert ours.scaled_wicd == pytest.approx(theirs.scaled_wicd, rel=1e-4)
    assert found.chosen_layer == wanted.chosen_layer
    ours, theirs = found.causes, wanted.causes
    np.testing.assert_array_equal(ours.of_error, theirs.of_error)
    np.testing.assert_array_equal(ours.medoid, theirs.medoid)
    np.testing.assert_allclose(ours.p_inside, theirs.p_inside, rtol=1e-3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory, material):
    """A study without distances, for reading only."""
    return made(tmp_path_factory.mktemp("linked") / "rows", material, linkage_from="rows").run()


def test_a_study_from_rows_finds_what_one_from_distances_does(rows, finished):
    assert not any(rows.has(f"layers/{layer}/distance") for layer in rows.layers)
    assert not (rows.path / "shards" / "distances").exists()
    assert_same_clusters(rows, finished)
    np.testing.assert_array_equal(rows.selection.image, finished.selection.image)
    assert rows.evaluation["purity"]["weighted_purity"] == finished.evaluation["purity"]["weighted_purity"]


@pytest.mark.parametrize(
    "choices", [{"preset": "moments"}, {"features": "pixels"}, {"reduction": "pca"}, {"clusterer": "kmeans"}]
)
def test_other_features_and_clusterers_are_the_same_either_way(tmp_path, material, monkeypatch, choices):
    monkeypatch.setattr(vectors, "_WHOLE", 2)
    studies = [
        made(tmp_path / how, material, linkage_from=how, **choices).cluster() for how in ("rows", "matrix")
    ]
    assert_same_clusters(*studies)


def test_a_linkage_that_was_killed_goes_on(tmp_path, material, monkeypatch):
    class Killed(BaseException):
        pass

    def clustered(study, kill_at=-1):
        """How many searches it took, those before a kill."""
        made_now = 0

        def search(self, clusters):
            nonlocal made_now
            if made_now == kill_at:
                raise Killed
            made_now += 1
            return nearest(self, clusters)

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Search, "nearest", search)
            study.cluster()
        return made_now

    nearest = Search.nearest
    for module, name, value in ((vectors, "_WHOLE", 2), (vectors, "_REST", 2), (rounds, "_BATCH", 4)):
        monkeypatch.setattr(module, name, value)
    study = made(tmp_path / "study", material, linkage_from="rows", layers=("5",)).heatmaps()
    whole = Study.open(shutil.copytree(study.path, tmp_path / "whole"))
    searches = clustered(whole)
    assert searches > 20
    assert clustered(study, kill_at=searches // 2) == searches // 2
    assert not study.has("clusters")
    (checkpoint,) = (study.path / "shards" / "linkage").rglob("*.checkpoint")
    checkpoint.with_name("ab.checkpoint").write_bytes(b"of the same rows, made on another machine")
    study = Study.open(study.path)
    assert clustered(study) == searches - searches // 2
    np.testing.assert_array_equal(study.clustering_of("5").linkage, whole.clustering_of("5").linkage)
    assert not list((study.path / "shards").rglob("linkage*/*"))


def test_what_was_linked_from_is_told(rows, finished):
    assert rows.summary()["linked_from"] == "rows"
    assert finished.summary()["linked_from"] == "matrix"
    assert headline(rows)["linked from"] == "rows, without a matrix of distances"
    assert "linked from rows" in describe(rows, "distances")
    with pytest.raises(HuddError, match=r"was linked from rows.*--linkage-from matrix"):
        rows.distances_of(rows.chosen_layer)


def test_report_and_exports_say_the_same(rows, finished, tmp_path):
    pages = [
        write_report(study, tmp_path / name).read_text() for study, name in ((rows, "a"), (finished, "b"))
    ]
    for part in ('id="errors"', "Found again", "distance to the medoid"):
        assert [page.count(part) for page in pages] == [pages[1].count(part)] * 2
    tables = []
    for study, name in ((rows, "c"), (finished, "d")):
        export(study, tmp_path / name, formats=("csv",))
        tables.append(pd.read_csv(tmp_path / name / "errors.csv"))
    pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=1e-6)


def test_clusters_are_merged_and_split_without_distances(rows, finished, tmp_path):
    copied = Study.open(shutil.copytree(rows.path, tmp_path / "rows"))
    for study in (copied, finished):
        review = Review(study)
        review.merge(1, 2)
        review.split(1)
    ours, theirs = view(copied).clusters, view(finished).clusters
    np.testing.assert_array_equal(ours.label, theirs.label)
    np.testing.assert_array_equal(ours.medoid, theirs.medoid)


def test_the_memory_decides_once(tmp_path, material, monkeypatch):
    monkeypatch.setattr(linking, "memory_bytes", lambda: 1000)
    monkeypatch.setattr(linking, "_ROW_BYTES", 0)
    study = made(tmp_path / "study", material, layers=("5",)).cluster()
    assert study.summary()["linked_from"] == "rows"
    done = study.marks()
    monkeypatch.setattr(linking, "memory_bytes", lambda: 1 << 60)
    assert Study.open(study.path).cluster().marks() == done
    study.configure(linkage_from="matrix").cluster()
    assert study.summary()["linked_from"] == "matrix"
    done = study.marks()
    monkeypatch.setattr(linking, "memory_bytes", lambda: 1000)
    assert study.configure(linkage_from="auto").cluster().marks() == done
    study.configure(clusterer="average").cluster()
    assert study.summary()["linked_from"] == "matrix"


def test_few_rows_of_many_numbers_are_linked_from_a_matrix(tmp_path, material, monkeypatch):
    monkeypatch.setattr(linking, "memory_bytes", lambda: 1000)
    assert made(tmp_path / "study", material).cluster().summary()["linked_from"] == "matrix"


@pytest.mark.parametrize("store", ["selected", "none"])
def test_rows_of_the_chosen_layer_are_kept_in_place_of_distances(rows, tmp_path, material, store):
    study = made(tmp_path / store, material, linkage_from="rows", store=store).cluster()
    assert_same_clusters(study, rows)
    kept = [layer for layer in study.layers if study.has(f"layers/{layer}/relevance")]
    assert kept == [study.chosen_layer]
    for layer in study.layers:
        np.testing.assert_array_equal(study.conservation_of(layer), rows.conservation_of(layer))


@pytest.mark.parametrize("choices", [{"clusterer": "average"}, {"preset": "hudd-2021"}])
def test_methods_that_need_a_matrix_are_refused(material, choices):
    with pytest.raises(UsageError, match="needs the distance matrix"):
        Settings.of(**material | choices, linkage_from="rows")


def test_a_study_of_an_earlier_version_counts_as_linked_from_a_matrix(finished, monkeypatch):
    with finished.writing() as h5:
        for layer in finished.layers:
            del h5[f"layers/{layer}/wicd"].attrs["linked_from"]
    monkeypatch.setattr(linking, "memory_bytes", lambda: 1000)
    monkeypatch.setattr(linking, "_ROW_BYTES", 0)
    study, done = Study.open(finished.path), finished.marks()
    assert json.loads(json.dumps(study.summary()))["linked_from"] == "matrix"
    assert study.cluster().marks() == done
