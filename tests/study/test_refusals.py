"""Few errors and wrong calls: a defined result, or one sentence and nothing left behind."""

import numpy as np
import pytest

from hudd.errors import HuddError, UnsupportedOperation, UsageError
from hudd.study import Study
from hudd.study.labels import export_labels

pytestmark = pytest.mark.slow


def test_no_error(finished, material, tmp_path):
    test = finished.split("test")
    write_subset(material["test"], tmp_path / "right.npz", np.flatnonzero(test.correct))
    study = Study.create(tmp_path / "study", **{**material, "test": str(tmp_path / "right.npz")})
    with pytest.raises(HuddError, match=r"makes no error on the .* harder images") as caught:
        study.run()
    assert caught.value.exit_code == 1
    assert study.split("test").correct.all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_errors(finished, material, tmp_path, count):
    rows = np.concatenate([np.flatnonzero(finished.split("test").correct)[:5], finished.errors[:count]])
    write_subset(material["test"], tmp_path / "few.npz", rows)
    study = Study.create(tmp_path / "study", **{**material, "test": str(tmp_path / "few.npz")}).run()
    assert len(study.clusters.label) == count
    assert study.clusters.label.min() == 1
    if count == 1:
        assert study.distances_of(study.chosen_layer).shape == (0,)
        with pytest.raises(HuddError, match="no image was selected"):
            study.retrain()


def write_subset(source, target, rows):
    arrays = np.load(source)
    count = len(arrays["labels"])
    np.savez(target, **{name: a[rows] if len(a) == count else a for name, a in arrays.items()})


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"test": "nowhere"}, UsageError, "no data at .*nowhere"),
        ({"weights": "nowhere.pth"}, UsageError, "no weights file"),
        ({"model": "nowhere.py:cnn"}, UsageError, "nowhere"),
        ({"preset": "x"}, UsageError, "preset is 'x'"),
        ({"pool": "x"}, UsageError, "pool is 'x'"),
        ({"rules": "x"}, UsageError, "x"),
        ({"layers": ("nothing",)}, UsageError, "nothing"),
        ({"batch_size": 0}, UsageError, "batch_size is 0"),
        ({"training": {"epoch": 1}}, UsageError, "training option 'epoch' is unknown"),
        ({"modes": ("x",)}, UsageError, "modes"),
        ({"colour": 1}, UsageError, "setting 'colour' is unknown"),
        ({"test": None}, UsageError, "needs test"),
    ],
)
def test_wrong_calls(material, tmp_path, changes, error, says):
    with pytest.raises(error, match=says) as caught:
        Study.create(tmp_path / "study", **{**material, **changes})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_a_model_that_cannot_be_captured(material, tmp_path):
    model = material["model"].replace(":cnn", ":unsupported")
    with pytest.raises(UnsupportedOperation, match="cumsum"):
        Study.create(tmp_path / "study", **{**material, "model": model, "weights": None})
    assert not (tmp_path / "study").exists()


def test_a_model_that_is_no_classifier(material, tmp_path):
    model = material["model"].replace(":cnn", ":landmarks")
    with pytest.raises(UsageError, match=r"returns \(1, 27, 6, 6\) .* \(1, classes\)"):
        Study.create(tmp_path / "study", **{**material, "model": model, "weights": None})


def test_images_of_the_wrong_size(material, tmp_path):
    with pytest.raises(UsageError, match="cannot take an image of 1x20x20"):
        Study.create(tmp_path / "study", **material, transform={"resize": (20, 20), "grayscale": True})


def test_labels_beyond_the_outputs(material, tmp_path):
    arrays = dict(np.load(material["test"]))
    arrays["labels"][4] = 3
    arrays["class_names"] = np.array(["ant", "bee", "cat", "dog"])
    np.savez(tmp_path / "four.npz", **arrays)
    choices = {**material, "test": str(tmp_path / "four.npz"), "train": None, "improvement": None}
    with pytest.raises(UsageError, match=r"4 classes .* and the model 3 outputs"):
        Study.create(tmp_path / "study", **choices)


def test_a_study_is_not_overwritten(finished, material):
    with pytest.raises(UsageError, match="holds a study already"):
        Study.create(finished.path, **material)


def test_a_wrong_change_changes_nothing(finished):
    with pytest.raises(UsageError):
        finished.configure(test="nowhere")
    assert Study.open(finished.path).settings == finished.settings
    finished.run()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"training": {"lr": -1.0}}, "lr of a training is -1.0"),
        ({"training": {"freeze": ("conv9.*",)}}, "matches no parameter"),
        ({"angles": {"width": 0.0}}, "the period of angle 'width' is 0.0"),
        ({"angles": {"cause": 360.0}}, "angles has 'cause', which is no numeric parameter"),
        ({"units": {"height": "px"}}, "units has 'height', which is no parameter of the test set"),
        ({"preset": "hudd-2021", "budget": 2}, "budget is 2, but preset 'hudd-2021'"),
        ({"layer": "nowhere"}, "layer 'nowhere' is not in this study; give `layer='auto'`, or one of: "),
        ({"preset": "moments", "layer": "0"}, "one of: moments; preset 'hudd' clusters layer by layer"),
        ({"seed": 2**32}, "seed is 4294967296; give a whole number from 0 to 4294967295"),
        (
            {"preset": "moments", "pool": "channel"},
            "pool is 'channel', but features 'moments' are not pooled",
        ),
    ],
)
def test_options_that_later_steps_refuse_are_refused_at_once(finished, changes, says):
    before = finished.settings
    with pytest.raises(UsageError, match=says):
        finished.configure(**changes)
    assert finished.settings == Study.open(finished.path).settings == before


def test_labels_that_were_filled_in_are_not_written_over(finished, tmp_path):
    for name in ("todo.csv", "todo.json"):
        (tmp_path / name).write_text("filled in")
        with pytest.raises(UsageError, match=f"{name}' exists, perhaps with labels filled in"):
            export_labels(finished, tmp_path / name)
        assert (tmp_path / name).read_text() == "filled in"
        assert export_labels(finished, tmp_path / name, overwrite=True)
        assert (tmp_path / name).read_text() != "filled in"


def test_steps_not_taken_say_so(material, tmp_path):
    study = Study.create(tmp_path / "study", **material)
    with pytest.raises(HuddError, match=r"'hudd cluster .*' makes it"):
        _ = study.clusters


def test_without_improvement_and_training_sets(material, tmp_path):
    study = Study.create(tmp_path / "study", **{**material, "improvement": None, "train": None}).run()
    assert study.has("clusters")
    assert not study.has("selection")
    with pytest.raises(UsageError, match="no improvement set to select from"):
        study.select()
