"""Studies that cluster something else than relevance, or otherwise than by Ward."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from hudd.cli.opening import _settings
from hudd.clustering import find_causes
from hudd.errors import HuddError, UsageError
from hudd.lrp import LRP
from hudd.review.view import view
from hudd.study import Study
from hudd.study.settings import Settings
from hudd.study.steps import cluster as cluster_step
from hudd.summary import cause_facts

pytestmark = pytest.mark.slow

BACKBONE = """
from torch import nn
from hudd.data import Transform


def make():
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten())


make.transform = Transform(resize=(16, 16), grayscale=False)
"""


@pytest.fixture
def backbone(tmp_path):
    (tmp_path / "backbone.py").write_text(BACKBONE)
    return f"{tmp_path / 'backbone.py'}:make"


def test_the_safe_preset_from_test_to_selection(material, tmp_path, backbone):
    study = Study.create(tmp_path / "safe", **(material | {"preset": "safe", "backbone": backbone})).select()
    assert study.layers == ["transfer"]
    features = study.heatmaps_of("transfer")[...]
    assert features.shape == (len(study.errors), 3 * 4 * 4)
    image = study.inputs.features.source("test").load(study.errors[:1])
    assert image.shape == (1, 3, 16, 16)
    wanted = torch.nn.functional.avg_pool2d(image, 4).flatten(1)
    np.testing.assert_allclose(features[:1], wanted, rtol=1e-6)
    clusters = study.clusters
    assert clusters.label.min() == 1
    assert set(study.selection.cluster) <= set(np.flatnonzero(np.bincount(clusters.label) > 1))
    assert not study.has("layers/transfer/conservation")
    # What is shown next to an image is its relevance.
    assert study.spatial_heatmaps(np.arange(2), "transfer").shape == (2, 8, 8)
    again = Study.open(study.path)
    before = again.marks()
    again.select()
    assert again.marks() == before


@pytest.mark.parametrize("store", ["all", "none"])
@pytest.mark.parametrize(
    ("choices", "layers"),
    [
        ({"features": "pixels"}, ["pixels"]),
        ({"preset": "moments", "cluster_size": 4}, ["moments"]),
        ({"preset": "moments-weighted", "cluster_size": 4}, ["moments"]),
        ({"preset": "moments-image", "cluster_size": 4}, ["moments"]),
        ({"features": "activation", "layers": ("4", "6")}, ["4", "6"]),
        ({"layers": ("4",), "reduction": "pca", "clusterer": "kmeans"}, ["4"]),
    ],
)
def test_other_features_and_clusterers(material, tmp_path, choices, layers, store):
    study = Study.create(tmp_path / "study", **(material | choices), store=store).select()
    assert study.layers == layers
    assert study.clusters.label.max() > 1
    assert len(study.selection)


def test_a_change_of_the_clusterer_keeps_the_distances(material, tmp_path):
    study = Study.create(tmp_path / "study", **material, layers=("4", "6")).cluster()
    before = study.marks()
    study.configure(clusterer="kmeans").cluster()
    after = study.marks()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"choice", "cluster/4", "cluster/6"}


def test_a_missing_backbone_is_told_before_any_work(material, tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.py"):
        Study.create(tmp_path / "study", **(material | {"preset": "safe", "backbone": "nowhere.py:make"}))
    assert not (tmp_path / "study").exists()
    with pytest.raises(UsageError, match="clusterer is 'birch'; choose one of: ward"):
        Study.create(tmp_path / "study", **material, clusterer="birch")


@pytest.fixture(scope="module")
def by_default(material, tmp_path_factory):
    """A finished study of the default preset."""
    given = {name: choice for name, choice in material.items() if name != "preset"}
    return given, Study.create(tmp_path_factory.mktemp("default") / "study", **given).run()


def test_the_default_joins_all_layers(by_default):
    _, study = by_default
    assert study.settings.preset == "moments"
    assert study.layers == ["moments"]
    rows = study.heatmaps_of("moments")[...]
    assert rows.shape == (len(study.errors), rows.shape[1])
    assert study.clusters.label.max() == -(-len(study.errors) // 15)
    assert len(study.selection)


def test_pictures_are_for_people_where_other_features_are_clustered(by_default, monkeypatch):
    _, study = by_default
    rows, errors = np.arange(2), study.errors[:2]
    images, model = study.source("test").load(errors), study.model.module
    target = torch.from_numpy(study.explained("test")[errors])

    def maps(rules, baseline=None):
        lrp = LRP(model, rules, layers=["input"], baseline=baseline)
        return lrp.attribute(images, target).input.sum(1).numpy()

    found = study.spatial_heatmaps(rows, "moments")
    np.testing.assert_allclose(found, maps("recommended"), rtol=1e-4, atol=1e-6)
    other = dataclasses.replace(study.settings, rules="epsilon-plus")
    monkeypatch.setattr(study.inputs, "settings", other)
    found = study.spatial_heatmaps(rows, "moments")
    np.testing.assert_allclose(found, maps("epsilon-plus"), rtol=1e-4, atol=1e-6)
    against = {"mean": "mean", "blur": "blur", "noise": "noise", "all": ["mean", "blur", "noise"]}
    for name, baseline in against.items():
        other = dataclasses.replace(study.settings, pictures_against=name, rules="attnlrp")
        monkeypatch.setattr(study.inputs, "settings", other)
        found = study.spatial_heatmaps(rows, "moments")
        np.testing.assert_allclose(found, maps("epsilon", baseline), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"preset": "hudd"}, "features 'relevance' pictures show the heatmaps that are clustered"),
        ({"bias": "distribute"}, "bias 'distribute', but biases cancel"),
    ],
)
def test_pictures_against_a_baseline_need_pictures_of_their_own(by_default, others, words):
    _, study = by_default
    with pytest.raises(UsageError, match=words):
        study.settings.changed(pictures_against="all", **others)


def test_the_default_tells_which_clusters_have_one_cause(by_default):
    _, study = by_default
    clusters, causes = study.clusters, study.causes
    found = find_causes(
        study.clustering_of("moments"), study.distances_of("moments"), study.heatmaps_of("moments")[...]
    )
    for name in ("of_cluster", "medoid", "common", "shared", "p_apart", "p_inside"):
        np.testing.assert_array_equal(getattr(causes, name), getattr(found, name))
    np.testing.assert_array_equal(causes.of_error, causes.of_cluster[clusters.label - 1])
    assert np.isfinite(causes.shared[np.bincount(causes.of_error)[1:] > 1]).all()
    assert sorted(np.concatenate([causes.members(number) for number in causes.numbers])) == list(
        range(len(causes.of_error))
    )
    assert sorted(one for number in causes.numbers for one in causes.clusters(number)) == clusters.numbers
    assert view(study).causes.of_cluster.tolist() == causes.of_cluster.tolist()


def test_causes_have_names_once_the_study_is_evaluated(by_default, tmp_path):
    _, study = by_default
    shutil.copytree(study.path, tmp_path / "named")
    named = Study.open(tmp_path / "named")
    if named.has("evaluation"):
        named.force("evaluate")
    assert named.causes.name == named.causes.rule == named.causes.failure_rate == []
    found = named.evaluate().causes
    facts = {fact.number: fact for fact in cause_facts(named)}
    assert found.name == [facts[number].name for number in found.numbers]
    assert found.rule == [facts[number].rule for number in found.numbers]
    assert found.size.tolist() == [len(facts[number].rows) for number in found.numbers]
    for number, counted in zip(found.numbers, found.failure_rate, strict=True):
        rate = facts[number].rate
        assert counted == (rate and (rate.failures, rate.images, *rate.interval))
        expected = number if facts[number].common else 0
        assert set(found.label[found.members(number)].tolist()) == {expected}
    with named.file.reading() as h5:
        np.testing.assert_array_equal(h5["causes/label"], found.label)
    with named.journal.writing() as h5:
        del h5["causes/name"]
        h5["causes/name"] = ["one too many"] * (len(found.name) + 1)
    with pytest.raises(HuddError, match="what is told of causes"):
        _ = named.causes


def test_a_study_without_causes_has_every_cluster_as_one(by_default, tmp_path):
    _, study = by_default
    shutil.copytree(study.path, tmp_path / "older")
    older = Study.open(tmp_path / "older")
    with older.journal.writing() as h5:
        del h5["clusters/cause"], h5["clusters/causes"]
    assert older.causes.of_cluster.tolist() == older.clusters.numbers
    assert np.isnan(older.causes.shared).all()
    assert older.causes.common.all()


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"batch_size": 500, "workers": 1}, {"store": "none"}])
def test_batches_workers_and_storage_change_nothing_in_the_default(by_default, tmp_path, options):
    given, whole = by_default
    other = Study.create(tmp_path / "other", **given, **options).select()
    np.testing.assert_array_equal(other.clusters.label, whole.clusters.label)
    np.testing.assert_array_equal(other.causes.of_cluster, whole.causes.of_cluster)
    np.testing.assert_array_equal(other.causes.common, whole.causes.common)
    np.testing.assert_array_equal(other.selection.image, whole.selection.image)


def test_what_layers_alone_have_is_refused_of_moments(by_default, tmp_path):
    given, _ = by_default
    with pytest.raises(
        UsageError, match="pool is 'channel', but features 'moments' are not pooled; choose preset 'hudd'"
    ):
        Study.create(tmp_path / "study", **given, pool="channel")
    with pytest.raises(UsageError, match="preset 'hudd' clusters layer by layer"):
        Study.create(tmp_path / "study", **given, layer="4").cluster()


def test_relevance_in_place_of_moments_has_unit_norm():
    given = {"model": "m:f", "test": "t", "preset": "moments"}
    assert not Settings(**given).choices.unit_norm
    assert Settings(**given, features="relevance").choices.unit_norm
    assert not Settings(**(given | {"preset": "hudd"}), features="moments").choices.unit_norm


def test_features_are_clustered_at_the_length_that_they_are_selected_by(material, tmp_path, monkeypatch):
    given, called = [], cluster_step.cluster
    monkeypatch.setattr(
        cluster_step, "cluster", lambda *args, **how: given.append(how["unit_norm"]) or called(*args, **how)
    )
    choices = material | {"preset": "moments"}
    study = Study.create(tmp_path / "study", **choices, features="pixels", reduction="pca").cluster()
    assert given == [study.settings.choices.unit_norm] == [True]


def test_a_number_of_clusters_is_refused_of_density():
    given = {"model": "m:f", "test": "t", "preset": "moments"}
    with pytest.raises(
        UsageError, match="'dbscan' finds the number of clusters itself, so cluster_size 4 has"
    ):
        Settings(**given, clusterer="dbscan", cluster_size=4)
    with pytest.raises(UsageError, match="max_clusters 4 has no effect"):
        Settings(**(given | {"preset": "safe"}), max_clusters=4)
    assert Settings(**(given | {"preset": "safe"}), clusterer="kmeans", max_clusters=4)


def test_a_number_of_clusters_gives_way_to_density():
    old = Settings(model="m:f", test="t", preset="moments", cluster_size=4)
    given = _settings(old, {"clusterer": "dbscan"})
    assert given == {"clusterer": "dbscan", "cluster_size": None, "max_clusters": None}
    assert old.changed(**_settings(old, {"preset": "safe"})).cluster_size is None
    assert old.changed(**_settings(old, {"preset": "safe", "clusterer": "kmeans"})).cluster_size == 4
