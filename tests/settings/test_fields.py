"""A setting says once what it is, what is allowed and which steps read it."""

import json

import pytest

from hudd.data import Transform
from hudd.errors import UsageError
from hudd.retraining import TrainingConfig
from hudd.settings import (
    Field,
    Panel,
    Range,
    StudySettings,
    TrainingSettings,
    TransformSettings,
    fields_of,
)
from hudd.study import STEPS, Settings

ALL = [
    pytest.param(each, id=f"{owner.__name__}.{each.name}")
    for owner in (StudySettings, TrainingSettings, TransformSettings)
    for each in fields_of(owner).values()
]


@pytest.mark.parametrize("each", ALL)
def test_every_setting_says_what_it_is(each):
    assert each.help[0].isupper()
    assert not each.help.endswith((".", " "))
    assert each.told().endswith(".")
    assert each.steps
    assert set(each.steps) <= set(STEPS)
    if each.help.endswith(":"):
        assert all(name in each.told() for name in (getattr(each.names, "own", each.names)))
    if each.names and isinstance(each.default, str):
        assert each.default in each.names


@pytest.mark.parametrize(
    ("owner", "base"),
    [(Settings, StudySettings), (TrainingConfig, TrainingSettings), (Transform, TransformSettings)],
)
def test_the_docstring_tells_every_setting(owner, base):
    assert fields_of(owner) == fields_of(base)
    for name, each in fields_of(owner).items():
        assert f"\n{name}\n    {each.told()}" in owner.__doc__


def made(**choices):
    return Settings.of(**{"model": "a:b", "test": "c:d"} | choices)


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (made, {"seed": -1}, "seed is -1; give a whole number from 0 to 4294967295."),
        (made, {"seed": 2**32}, "seed is 4294967296; give a whole number from 0 to 4294967295."),
        (made, {"seed": 1.0}, "seed is 1.0; give a whole number."),
        (made, {"budget": 0}, "budget is 0; give a whole number of at least 1."),
        (made, {"factor": 0.0}, "factor is 0.0; give a finite number above 0."),
        (made, {"pool": "max"}, "pool is 'max'; choose one of: none, channel, space."),
        (made, {"preset": "best"}, "preset is 'best'; choose one of: hudd, hudd-2021, moments, "),
        (made, {"compression": "rar"}, "compression is 'rar'; choose one of: none, gzip, lzf, zstd, lz4, blosc2, bits"),
        (made, {"modes": ("hudd", "best")}, "modes is 'best'; choose one of: none, hudd, random, entropy, bl1, bl2"),
        (made, {"strategy": "bl1"}, "strategy is 'bl1'; choose one of: hudd, random, entropy, hybrid, mar"),
        (made, {"clusterer": "best"}, "clusterer is 'best'; choose one of: ward, average, kmeans, dbscan, hdbscan; or"),
        (TrainingConfig, {"lr": 0.0}, "lr of a training is 0.0; give a finite number above 0."),
        (TrainingConfig, {"momentum": 1.0}, "momentum of a training is 1.0; give a finite number of at least 0 and be"),
        (TrainingConfig, {"loss": "mae"}, "loss of a training is 'mae'; choose one of: cross-entropy, "
         "binary-cross-entropy, mse, l1, wing."),
        (TrainingConfig, {"augment": ("flip", "turn")}, "augment of a training is 'turn'; choose one of: flip, shift."),
        (TrainingConfig, {"patience": 0, "holdout": 0.1}, "patience of a training is 0; give a whole number of at le"),
        (TrainingConfig, {"patience": 3}, "patience of a training is 3, which needs a holdout"),
    ],
)  # fmt: skip
def test_what_is_refused(make, given, says):
    with pytest.raises(UsageError) as caught:
        make(**given)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "given",
    [
        {"seed": 2**32 - 1, "budget": 1, "runs": 1, "workers": 0, "max_clusters": 2},
        {"modes": ("hudd", "my.package:strategy"), "strategy": "my.package:strategy"},
        {"layers": "0", "classes": ["a", "b"], "rules": {"*": "epsilon"}},
    ],
)
def test_what_is_allowed(given):
    made(**given)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        (Range(least=1), (1, 9e9), (0, -1, 0.999), "of at least 1"),
        (Range(least=0, most=9), (0, 9), (-1, 10), "from 0 to 9"),
        (Range(above=0), (1e-300, 1), (0, -1), "above 0"),
        (Range(least=0, below=1), (0, 0.999), (1, -0.1), "of at least 0 and below 1"),
        (Range(most=3), (3, -9), (4,), "of at most 3"),
    ],
)
def test_bounds(bounds, inside, outside, words):
    assert all(number in bounds for number in inside)
    assert not any(number in bounds for number in outside)
    assert str(bounds) == words


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"help": "Rate", "default": 0.001}, "Rate (default 0.001)."),
        ({"help": "Seed", "default": 0}, "Seed (default 0)."),
        ({"help": "Seed; default 1, with more 10", "default": 1}, "Seed; default 1, with more 10."),
        ({"help": "Leave out", "default": False}, "Leave out."),
        ({"help": "Layer", "default": None}, "Layer."),
        ({"help": "One of:", "default": "b", "choices": ("a", "b", "c")}, "One of: a, b (default) or c."),
    ],
)
def test_the_help_names_choices_and_default_once(facts, told):
    assert Field(name="x", hint=str, panel=Panel.DATA, **facts).told() == told


def test_settings_are_written_as_ever():
    """The names and values in the files of studies; a setting that is added here must have a default."""
    assert json.loads(made(rules={"*": "epsilon"}, layers="0", seed=3).to_json()) == {
        "model": "a:b", "test": "c:d", "weights": None, "trust_pickle": False, "weights_key": None, "output": None,
        "train": None, "improvement": None, "preset": "moments", "rules": {"*": "epsilon"}, "layers": ["0"],
        "pool": None, "features": None, "backbone": "torchvision:vgg16", "reduction": None, "clusterer": None,
        "seed": 3, "transform": None, "max_clusters": None, "cluster_size": None, "layer": None, "factor": None,
        "budget": None, "training": {}, "runs": 1, "modes": [], "strategy": None, "classes": None,
        "allow_overlap": False, "skip_bad": False, "exif_orient": False, "angles": {}, "units": {}, "batch_size": 32,
        "task": None, "workers": None, "store": "all", "dtype": "float32", "arithmetic": "float32",
        "compression": "none", "device": "auto", "attributes": [],
        "targets": [], "threshold": None, "explained": "worst", "normalise": [],
        "bias": "absorb", "judge": None, "judge_share": None, "judge_groups": None, "keep_runs": False,
        "cause": None, "images": None, "severity": None, "decoder": None,
            "linkage_from": "auto", "trusted": None, "pictures_against": "nothing",
    }  # fmt: skip


def test_settings_of_a_file_are_read_back():
    settings = made(rules={"*": "epsilon"}, layers=("0", "2"), modes=("hudd",), angles={"gaze": 360})
    assert Settings.from_json(settings.to_json()) == settings
    assert Settings.from_json('{"model": "a:b", "test": "c:d"}') == made(strategy="hudd")
