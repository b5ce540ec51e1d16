"""Other images, sometimes of the same names: nothing that was found about the old ones is taken for theirs."""

import numpy as np
import pytest
from PIL import Image

from hudd.errors import HuddError, UsageError
from hudd.study import Study
from hudd.study.labels import export_labels, import_labels

pytestmark = pytest.mark.slow


def other(source, path, count):
    """The last images of a set, in another order."""
    arrays = np.load(source)
    kept = {name: a if name == "class_names" else a[::-1][:count] for name, a in arrays.items()}
    np.savez(path, **kept)
    return str(path)


def folder(path, seed, count=40):
    """Unlabelled pictures; those of all seeds have the same names."""
    rng = np.random.default_rng(seed)
    path.mkdir(exist_ok=True)
    for number in range(count):
        pixels = rng.integers(0, 255, size=(8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"frame_{number:04d}.png")
    (path / "list.csv").write_text("path\n" + "".join(f"frame_{n:04d}.png\n" for n in range(count)))
    return str(path / "list.csv")


def filled_in(study, path, name="cat"):
    """Export what is to be labelled, and label all of it."""
    export_labels(study, path, overwrite=True)
    header, *lines = path.read_text().splitlines()
    at = header.split(",").index("label")
    cells = [line.split(",") for line in lines]
    rows = [",".join([*row[:at], name, *row[at + 1 :]]) for row in cells]
    path.write_text("\n".join([header, *rows]))
    return path


@pytest.fixture
def weeks(material, tmp_path):
    """A study that selected from a first week's pictures, and the data of two weeks."""
    first, second = folder(tmp_path / "w1", 1), folder(tmp_path / "w2", 2)
    choices = {**material, "improvement": first}
    study = Study.create(tmp_path / "study", **choices).select()
    return study, first, second


@pytest.mark.parametrize("count", [80, 30])
def test_a_new_improvement_set_leaves_no_selection_behind(finished, material, tmp_path, count):
    finished.configure(improvement=other(material["improvement"], tmp_path / "week2.npz", count)).test()
    assert not finished.has("selection")
    assert not finished.has("retraining")
    assert {"cluster", "choice", "evaluate"} <= {name.split("/")[0] for name in finished.marks()}
    with pytest.raises(HuddError, match=r"no selection yet; 'hudd select .*' makes it"):
        export_labels(finished, tmp_path / "todo.csv")
    assert Study.open(finished.path).summary()["improvement"]["images"] == count


def test_a_new_training_set_leaves_no_retraining_behind(finished, material, tmp_path):
    marks = finished.marks()
    finished.configure(train=other(material["train"], tmp_path / "other.npz", 50)).test()
    assert not finished.has("retraining")
    assert finished.marks()["select"] == marks["select"]


def test_labels_are_not_those_of_other_images_of_the_same_names(weeks, tmp_path):
    study, first, second = weeks
    assert import_labels(study, filled_in(study, tmp_path / "todo.csv")) == len(study.selection)
    given = len(study.selection)
    study.configure(improvement=second).select()
    assert study.label_state()["labelled"] == 0
    assert study.labels_aside == given
    says = (
        f"{given} imported labels are not used: they were given to images that are not, or no longer the same"
    )
    assert says in study.hints()[0]
    with pytest.raises(HuddError, match=f"have no label; .* {says}"):
        study.retrain()
    import_labels(study, filled_in(study, tmp_path / "second.csv", "ant"))
    assert set(study.labels[study.selection.image]) == {0}
    study.configure(improvement=first).select()
    assert study.label_state() == {"selected": given, "labelled": given}
    assert set(study.labels[study.selection.image]) == {2}


def test_labels_stay_where_the_set_grows_or_is_copied(weeks, tmp_path):
    study, _, _ = weeks
    import_labels(study, filled_in(study, tmp_path / "todo.csv"))
    paths, labels = np.array(study.split("improvement").path), study.labels
    copied = folder(tmp_path / "copy", 1, count=50)  # the first 40 are those of the first week, written later
    study.configure(improvement=copied).test()
    assert study.labels_aside == 0
    now = dict(zip(study.split("improvement").path, study.labels))
    assert len(now) == 50
    assert [now[path] for path in paths] == labels.tolist()


def test_pictures_that_took_the_place_of_others_are_not_labelled_for_them(weeks, tmp_path):
    study, _, _ = weeks
    todo = filled_in(study, tmp_path / "todo.csv")
    folder(tmp_path / "w1", 2)
    study = Study.open(study.path)
    with pytest.raises(HuddError, match="has changed since the DNN was tested on it; 'hudd select"):
        export_labels(study, tmp_path / "pictures")
    with pytest.raises(HuddError, match="has changed since the DNN was tested on it; 'hudd select"):
        import_labels(study, todo)
    assert not study.has("labels")


@pytest.mark.parametrize("split", ["train", "improvement"])
def test_a_test_set_to_learn_by_heart(material, tmp_path, split):
    study = Study.create(tmp_path / "study", **{**material, split: material["test"]})
    with pytest.raises(
        UsageError, match=f"`test` and `{split}` are the same images, and a DNN is not tested"
    ):
        study.run()
    study.configure(**{split: material[split]}).test()
