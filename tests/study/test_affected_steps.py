"""What a setting affects: the marks of the steps that its declaration names, and of no step before these."""

from pathlib import Path

import numpy as np
import pytest

from hudd.settings import StudySettings, fields_of
from hudd.study import STEPS, Study
from hudd.study.study import GRAPH

pytestmark = pytest.mark.slow

TOY = Path(__file__).parent.parent / "extending" / "toy"
CHANGES = {
    "judge_share": {"judge_share": 0.5},
    "layers": {"layers": ("0",)},
    "preset": {"preset": "hudd-2021"},
    "rules": {"rules": "epsilon"},
    "bias": {"bias": "distribute"},
    "pool": {"pool": "channel"},
    "features": {"features": "activation"},
    "reduction": {"reduction": "pca"},
    "clusterer": {"clusterer": "average"},
    "max_clusters": {"max_clusters": 5},
    "cluster_size": {"cluster_size": 9},
    "linkage_from": {"linkage_from": "rows"},
    "layer": {"layer": "0"},
    "factor": {"factor": 0.7},
    "budget": {"budget": 7},
    "strategy": {"strategy": "random"},
    "training": {"training": {"epochs": 1}},
    "trusted": {"trusted": 0.25},
    "runs": {"runs": 2},
    "modes": {"modes": ("hudd", "random")},
    "angles": {"angles": {"width": 360}},
    "units": {"units": {"width": "px"}},
    "dtype": {"dtype": "float16"},
    "arithmetic": {"arithmetic": "bfloat16"},
    "attributes": {"attributes": (f"{TOY}/hudd_toy/attributes.py:Corner",)},
    "classes": {"classes": ("bee", "ant", "cat")},
    "transform": {"transform": {"mean": 0.5}},
    # neutral
    "keep_runs": {"keep_runs": True},
    "batch_size": {"batch_size": 5},
    "workers": {"workers": 0},
    "store": {"store": "none"},
    "compression": {"compression": "gzip"},
    "device": {"device": "cpu"},
    "allow_overlap": {"allow_overlap": True},
}
UNLIKE = {
    "pictures_against": ({"preset": "moments"}, {"pictures_against": "all"}),
    "seed": ({"clusterer": "kmeans", "judge_share": 0.5}, {"seed": 1}),
    "cause": ({"strategy": "cause", "cause": 1}, {"cause": 2}),
    "judge_groups": ({"judge_share": 0.5}, {"judge_groups": "width"}),
}
"""What the setting is compared at, and the change."""
ALIKE = {
    "images": "of strategy given; what the list names is in the mark",
    "trust_pickle": "how weights are read; what was read is in the mark",
    "weights_key": "how weights are read; what was read is in the mark",
    "skip_bad": "the images that are left are in the mark",
    "decoder": "the pixels of JPEG files, which are the same; those here are arrays",
    "exif_orient": "the pixels of files that say that they are turned; those here are arrays",
    "targets": "of numbers to predict; like the three that follow they are in the mark of their task",
    "threshold": "of numbers to predict",
    "explained": "of numbers to predict",
    "normalise": "of numbers to predict",
    "task": "the task that is named is the one that there is without a name; another one is in the mark",
    "output": "of models that return several tensors; the choice is in the mark of the model",
    "severity": "how severe errors are is told, and changes no result",
    "backbone": "of transfer features, which need a network with published weights",
}
"""Settings that change nothing by themselves here, and why."""


def marks(study):
    found = [GRAPH[step].fingerprint(study.inputs, study.journal) for step in STEPS]
    return {key: mark for marks_of_step in found for key, mark in marks_of_step.items()}


@pytest.fixture(scope="module")
def study(_finished):
    """A finished study, for reading only."""
    return Study.open(_finished)


@pytest.fixture(scope="module")
def own(study):
    return marks(study)


def test_every_setting_is_tried():
    data = {"model", "weights", "test", "judge", "train", "improvement"}  # the judge set in test_judge.py
    assert data | set(CHANGES) | set(UNLIKE) | set(ALIKE) == set(fields_of(StudySettings))


def held_against_the_declaration(name, before, after):
    declared = fields_of(StudySettings)[name]
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    if declared.neutral:
        assert changed <= {"heatmaps"}  # which of them are kept
        return
    affected = {GRAPH.maker(key).name for made in changed for key in (made, *GRAPH.after(made))}
    allowed = {
        GRAPH.maker(key).name
        for step in declared.steps
        for made in GRAPH[step].outputs
        for key in GRAPH.after(made)
    }
    assert set(declared.steps) <= affected
    assert {GRAPH.maker(key).name for key in changed} <= allowed | set(declared.steps)


@pytest.mark.parametrize("name", [*CHANGES, *UNLIKE])
def test_a_setting_affects_the_steps_that_it_names(study, own, name):
    start, change = UNLIKE.get(name, ({}, CHANGES.get(name)))
    settings = study.settings.changed(**start)
    before = marks(Study(study.path, settings)) if start else own
    held_against_the_declaration(name, before, marks(Study(study.path, settings.changed(**change))))


@pytest.mark.parametrize("name", ["test", "train", "improvement"])
def test_other_images_affect_the_steps_that_read_them(study, own, tmp_path, name):
    arrays = dict(np.load(getattr(study.settings, name)))
    arrays["images"] = arrays["images"] // 2
    np.savez(tmp_path / "other.npz", **arrays)
    other = study.settings.changed(**{name: str(tmp_path / "other.npz")})
    held_against_the_declaration(name, own, marks(Study(study.path, other)))


def test_another_model_affects_every_step(study, own, tmp_path):
    file, _, factory = study.settings.model.rpartition(":")
    source = Path(file).read_text().replace("nn.Linear(8, 3)", "nn.Linear(8, 3), nn.Identity()")
    (tmp_path / "other.py").write_text(source)
    other = study.settings.changed(model=f"{tmp_path / 'other.py'}:{factory}")
    held_against_the_declaration("model", own, marks(Study(study.path, other)))


def test_other_weights_affect_every_step(study, own):
    other = study.settings.changed(weights=None)  # drawn at random
    held_against_the_declaration("weights", own, marks(Study(study.path, other)))
