import io
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from hudd.errors import HuddError, UsageError
from hudd.report.exporters import EXPORTERS, export_parquet, export_virelay


def varied(study):
    """The study with a picture of another size."""
    source = study.source("test")
    first = int(study.errors[0])

    def picture(index, original=source.picture):
        return original(index)[:30] if index == first else original(index)

    source.picture = picture
    study.source = lambda name: source
    return study


@pytest.mark.parametrize("make", [lambda study: study, varied], ids=["one size", "two sizes"])
def test_virelay_opens_the_project(make_study, tmp_path, make):
    model = pytest.importorskip("virelay.model", reason="virelay is not installed")
    study = make(make_study(names=["<b>stop</b>", "naïve: 日本", "- a\n- b"]))
    project = model.Project(str(export_virelay(study, tmp_path / "out")))
    assert project.name == "study"
    method = project.get_analysis_methods()[0]
    assert {c.name for c in project.get_analysis_categories(method)} == set(study.layers)
    clustering, embedding = (
        project.get_analysis_clustering_names(method),
        project.get_analysis_embedding_names(method),
    )
    assert (clustering, embedding) == (["hudd"], ["mds"])
    for layer in study.layers:
        analysis = project.get_analysis(method, layer, "hudd", "mds")
        np.testing.assert_array_equal(analysis.clustering, study.clustering_of(layer).labels)
        assert analysis.embedding.shape == (len(study.errors), 2)
    for row in (0, 5, len(study.errors) - 1):
        picture = study.source("test").picture(int(study.errors[row]))
        sample, attribution = project.get_sample(row), project.get_attribution(row)
        np.testing.assert_array_equal(sample.data, picture)
        assert sample.labels[0].index == study.split("test").label[study.errors[row]]
        assert attribution.prediction.argmax() == study.split("test").prediction[study.errors[row]]
        assert attribution.data.shape == picture.shape
        assert attribution.render_heatmap("blue-white-red").shape[:2] == picture.shape[:2]
        assert attribution.render_heatmap("blue-white-red", sample.data).shape[:2] == picture.shape[:2]
    project.close()


def test_virelay_files_follow_the_layout(make_study, tmp_path):
    study = make_study()
    path = export_virelay(study, tmp_path / "out", layer="features.0")
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
        export_virelay(study, tmp_path, layer="nowhere")


def test_parquet_reads_back(make_study, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    study = make_study(names=["<script>", "b", "c"])
    frame = pandas.read_parquet(export_parquet(study, tmp_path / "a" / "b"))
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


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_a_file_in_the_way_is_said(make_study, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(HuddError, match="cannot write"):
        EXPORTERS[name](make_study(), tmp_path / "file" / "out")
