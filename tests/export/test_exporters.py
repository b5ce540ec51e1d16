import io
import json
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from hudd.errors import HuddError, UsageError
from hudd.export import FORMATS, export, export_one
from hudd.export.coco import region
from hudd.export.errors import file_name
from hudd.plot import relevance_scale
from hudd.presets import get_preset
from hudd.review.review import Review
from hudd.selection import import_labels


def varied(study):
    """The study with a picture of another size."""
    source = study.source("test")
    first = int(study.errors[0])

    def picture(index, original=source.picture):
        return original(index)[:30] if index == first else original(index)

    source.picture = picture
    study.source = lambda name: source
    return study


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda study: study, varied], ids=["one size", "two sizes"])
def test_virelay_opens_the_project(make_study, tmp_path, read_by, make):
    study = make(make_study(names=["<b>stop</b>", "naïve: 日本", "- a\n- b"]))
    project = read_by("virelay", export_one(study, tmp_path / "out", "virelay")[0])
    assert (project["name"], project["clustering"], project["embedding"]) == ("study", "hudd", "mds")
    assert set(project["layers"]) == set(study.layers)
    for layer, read in project["layers"].items():
        np.testing.assert_array_equal(read["clusters"], study.clustering_of(layer).labels)
        assert read["embedding shape"] == [len(study.errors), 2]
    assert len(project["rows"]) == len(study.errors)
    for error, read in zip(study.errors, project["rows"]):
        picture = study.source("test").picture(int(error))
        np.testing.assert_array_equal(read["picture"], picture)
        assert read["label"] == study.split("test").label[error]
        assert read["prediction"] == study.split("test").prediction[error]
        assert read["attribution shape"] == list(picture.shape)
        assert [shape[:2] for shape in read["rendered shapes"]] == [list(picture.shape[:2])] * 2


def test_virelay_files_follow_the_layout(make_study, tmp_path):
    study = make_study()
    path = export_one(study, tmp_path / "out", "virelay", layer="features.0")[0]
    project = json.loads(path.read_text())["project"]
    assert {"name", "model", "label_map", "dataset", "attributions", "analyses"} == set(project)
    rows = len(study.errors)
    with h5py.File(path.parent / "dataset.h5") as file:
        assert file["data"].shape == (rows, 3, 40, 40)
        assert file["data"].dtype == np.uint8
    with h5py.File(path.parent / "attribution.h5") as file:
        np.testing.assert_allclose(
            file["attribution"][...].sum(1),
            study.spatial_heatmaps(np.arange(rows), "features.0"),
            rtol=1e-5,
            atol=1e-5,
        )
    labels = json.loads((path.parent / "label-map.json").read_text())
    assert all({"index", "name", "word_net_id"} == set(label) for label in labels)
    with pytest.raises(UsageError, match="choose one of"):
        export_one(study, tmp_path / "other", "virelay", layer="nowhere")


def test_parquet_reads_back(make_study, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    study = make_study(names=["<script>", "b", "c"])
    frame = pandas.read_parquet(export_one(study, tmp_path / "a" / "b", "parquet")[0])
    assert len(frame) == len(study.errors)
    np.testing.assert_array_equal(frame["cluster"], study.clusters.label)
    assert frame["medoid"].sum() == len(study.clusters.medoid)
    assert (frame["distance"][frame["medoid"]] == 0).all()
    assert np.stack(frame["map"]).shape == (len(frame), 2)
    for at in (0, 3):
        picture = np.asarray(Image.open(io.BytesIO(frame["picture"][at])))
        np.testing.assert_array_equal(picture, study.source("test").picture(int(study.errors[at])))
        assert Image.open(io.BytesIO(frame["heatmap"][at])).size == (40, 40)
    np.testing.assert_allclose(
        frame["parameter: angle"], study.split("test").parameters["angle"][study.errors]
    )


@given(st.text(max_size=40))
def test_file_names_stay_in_their_folder(name):
    found = file_name(name)
    assert "/" not in found
    assert "\\" not in found
    assert not found.startswith(".")
    assert found.isprintable()


def test_pictures_lie_in_a_folder_a_cluster(make_study, tmp_path):
    study = make_study(prefix='../../etc/<b>"x"')
    study.path.mkdir()
    Review(study).set(2, name="../too dark\n")
    errors, unsafe = export_one(study, tmp_path / "out", "images")
    assert {folder.name for folder in errors.iterdir()} == {
        "cluster_01",
        "cluster_02_.._too_dark",
        "cluster_03",
    }
    assert {path.parent for path in (tmp_path / "out").rglob("*.png")} <= {
        *errors.iterdir(),
        *unsafe.iterdir(),
    }
    for label, medoid in enumerate(study.clusters.medoid, start=1):
        (folder,) = errors.glob(f"cluster_{label:02d}*")
        files = sorted(path.name for path in folder.iterdir())
        assert len(files) == 2 * (study.clusters.label == label).sum()
        first = np.asarray(Image.open(folder / files[0]))
        np.testing.assert_array_equal(first, study.source("test").picture(int(study.errors[medoid])))
        heat = np.asarray(Image.open(folder / files[1]))
        assert files[1] == files[0].replace(".png", "_heatmap.png")
        assert heat.shape == first.shape
        assert (heat != first).any()


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-1, 1)))
def test_coco_regions_are_run_lengths_down_the_columns(relevance):
    found = region(relevance)
    counts, inside, flat = found["segmentation"]["counts"], False, []
    for count in counts:
        flat += [inside] * count
        inside = not inside
    mask = np.array(flat).reshape(relevance.shape, order="F")
    np.testing.assert_array_equal(mask, relevance >= 0.5 * relevance_scale(relevance))
    assert found["area"] == mask.sum()
    left, top, width, height = found["bbox"]
    assert mask[top : top + height, left : left + width].sum() == mask.sum()
    if mask.any():
        assert mask[top].any()
        assert mask[:, left].any()


def test_coco_files_are_whole(make_study, tmp_path):
    study = make_study(names=["<b>stop</b>", "naïve: 日本", "- a"])
    path = export_one(study, tmp_path / "out", "coco")[0]
    content = json.loads(path.read_text("utf-8"))
    assert [image["id"] for image in content["images"]] == list(range(1, 37))
    assert {one["category_id"] for one in content["annotations"]} == {
        one["id"] for one in content["categories"]
    }
    assert all((path.parent / "images" / image["file_name"]).is_file() for image in content["images"])
    np.testing.assert_array_equal(
        [one["category_id"] for one in content["annotations"]], study.clusters.label
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_coco_opens_the_file(make_study, tmp_path, peer):
    path = export_one(make_study(), tmp_path / "out", "coco")[0]
    coco = peer("pycocotools.coco").COCO(str(path))
    assert len(coco.getAnnIds()) == 36
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation)
        assert mask.shape == (40, 40)
        assert mask.sum() == annotation["area"]


def test_fiftyone_samples_are_whole(make_study, tmp_path):
    study = make_study(names=["<b>stop</b>", "naïve: 日本", "- a\n- b"], parameter="head yaw.°")
    path = export_one(study, tmp_path / "out", "fiftyone")[0]
    samples = json.loads(path.read_text("utf-8"))["samples"]
    assert len(samples) == len(study.errors) + len(study.selection)
    assert sum("medoid" in one["tags"] for one in samples) == len(study.clusters.medoid)
    for one in samples:
        assert (path.parent / one["filepath"]).is_file()
        assert all(name.isidentifier() for name in one)
    errors = samples[: len(study.errors)]
    assert [int(one["root_cause"]["label"]) for one in errors] == study.clusters.label.tolist()
    assert {"parameter_head_yaw__", "parameter_cause"} <= set(errors[0])


@pytest.mark.slow
def test_fiftyone_imports_the_samples(make_study, tmp_path, read_by):
    study = make_study(names=["<b>stop</b>", "naïve: 日本", "- a\n- b"], parameter="head yaw.°")
    path = export_one(study, tmp_path / "out", "fiftyone")[0]
    written = json.loads(path.read_text("utf-8"))["samples"]
    for read, sample in zip(read_by("fiftyone", path.parent), written, strict=True):
        assert read["filepath"] == str(path.parent / sample["filepath"])
        assert read["root_cause"] == sample["root_cause"]["label"]
        assert set(read["tags"]) == set(sample["tags"])
        assert (read["heatmap"] is None) == ("relevance" not in sample)
        if read["heatmap"]:
            assert np.asarray(Image.open(read["heatmap"])).shape == (40, 40)


def test_label_studio_labels_come_back(make_study, tmp_path):
    study = make_study(names=["<stop>", 'a "b"', "c & d"])
    study.labels[3:] = -1
    study.split("improvement").label[3:] = -1
    tasks = export_one(with_table(study), tmp_path / "out", "label-studio", served_as="out")[0]
    content = json.loads(tasks.read_text("utf-8"))
    images = study.selection.image.tolist()
    assert [one["data"]["path"] for one in content] == [study.split("improvement").path[i] for i in images]
    for one in content:
        file = tmp_path / one["data"]["image"].split("?d=")[1]
        assert file.parent == tmp_path / "out" / "images"
        assert file.is_file()
    interface = (tmp_path / "out" / "interface.xml").read_text("utf-8")
    choices = [element.get("value") for element in ElementTree.fromstring(interface).iter("Choice")]
    assert choices == study.class_names
    content[5]["annotations"] = [{"result": content[5]["predictions"][0]["result"]}]
    tasks.write_text(json.dumps(content), "utf-8")
    paths, known = study.split("improvement").path, np.full(60, -1)
    labels = import_labels(tasks, paths, study.class_names, known=known)
    assert labels[images[5]] == study.split("improvement").prediction[images[5]]
    assert (labels >= 0).sum() == sum("annotations" in one for one in content)


@pytest.mark.slow
def test_label_studio_takes_the_predictions(make_study, tmp_path, read_by):
    study = make_study(names=["<stop>", 'a "b"', "c & d"])
    read = read_by("label_studio", export_one(with_table(study), tmp_path / "out", "label-studio")[0])
    assert read["classes"] == study.class_names
    assert read["taken"] == [True] * len(study.selection)


def with_table(study):
    """The study with the texts that the table of the unsafe set reads."""
    study.labels = study.split("improvement").label
    return study


@pytest.mark.parametrize("layer", ["features.3", "classifier.1"])
def test_tensors_open_in_safetensors(make_study, tmp_path, layer):
    study = make_study()
    (path,) = export_one(study, tmp_path / "out", "tensors", layers=[layer])
    found = load_file(path)
    np.testing.assert_array_equal(found["attribution"], study.heatmaps_of(layer))
    np.testing.assert_array_equal(found["target"], study.split("test").prediction[study.errors])
    np.testing.assert_array_equal(found["cluster"], study.clusters.label)
    np.testing.assert_array_equal(found["index"], study.errors)
    with safe_open(path, "np") as file:
        assert file.metadata()["layer"] == layer


def test_other_features_are_not_called_attributions_nor_drawn(make_study, tmp_path):
    study = make_study()
    study.settings.choices = get_preset("moments")
    (path,) = export_one(study, tmp_path / "tensors", "tensors")
    found = load_file(path)
    assert "attribution" not in found
    np.testing.assert_array_equal(found["features"], study.heatmaps_of(study.chosen_layer))
    coco = json.loads(export_one(study, tmp_path / "coco", "coco")[0].read_text())
    assert coco["info"]["description"].endswith("heatmaps at input")
    export_one(study, tmp_path / "fiftyone", "fiftyone")[0]
    info = json.loads((tmp_path / "fiftyone" / "metadata.json").read_text())["info"]
    assert info["layer"] == "input"
    project = json.loads(export_one(study, tmp_path / "virelay", "virelay")[0].read_text())["project"]
    assert project["attributions"]["attribution_method"].endswith(" at input")


def test_edited_clusters_are_exported_as_they_were_left(make_study, tmp_path):
    study = make_study()
    study.path.mkdir()
    review = Review(study)
    review.merge(1, 3)
    review.set(1, name="glare")
    (path,) = export(study, tmp_path / "out", formats=("coco",))
    titles = {one["id"]: one["name"] for one in json.loads(path.read_text())["categories"]}
    assert titles == {1: "01 glare", 2: "02"}


def test_formats_are_checked_before_anything_is_written(make_study, tmp_path):
    with pytest.raises(UsageError, match="label-studio"):
        export(make_study(), tmp_path / "out", formats=("coco", "pdf"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"csv"}))
def test_a_file_in_the_way_is_said(make_study, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(HuddError, match="cannot write"):
        export(make_study(), tmp_path / "file" / "out", formats=(name,))


def test_exports_of_very_many_errors_have_no_map(make_study, tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    study = make_study()
    monkeypatch.setattr("hudd.plot.places.MOST_ERRORS", len(study.errors) - 1)
    assert "map" not in pandas.read_parquet(export_one(study, tmp_path / "table", "parquet")[0])
    samples = json.loads(export_one(study, tmp_path / "samples", "fiftyone")[0].read_text("utf-8"))["samples"]
    assert not any("map" in one for one in samples)
    path = export_one(study, tmp_path / "project", "virelay")[0]
    with h5py.File(path.parent / "analysis.h5") as file:
        for layer in study.layers:
            assert len(file[layer]["embedding"]) == 0
            assert "embedding" not in file[layer]["cluster/hudd"].attrs
