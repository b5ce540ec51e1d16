"""Numbers to predict that are arrays of their own, and landmarks of COCO files."""

import json

import numpy as np
import pytest
from PIL import Image

from hudd.data import Transform, open_source
from hudd.errors import UsageError
from hudd.tasks import infer_task

NAMES = ["a.png", "b.png", "c.png"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for number, name in enumerate(NAMES):
        Image.new("L", (8, 16), 10 * number).save(tmp_path / "set" / name)
    return tmp_path


def manifest(folder, arrays, header="path,places", suffix=""):
    lines = []
    for name, array in zip(NAMES, arrays):
        if array is not None:
            np.save(folder / f"{name}.npy", array)
        lines.append(f"set/{name}," + (f"{name}.npy" if array is not None else "") + suffix)
    (folder / "set.csv").write_text("\n".join([header, *lines]) + "\n")
    return str(folder / "set.csv")


def coco(folder, points, **changes):
    """Write the points of each image, x, y and visibility, where it has any."""
    content = {
        "images": [{"id": 7 + at, "file_name": name, "width": 8, "height": 16} for at, name in enumerate(NAMES)],
        "annotations": [
            {"id": at, "image_id": 7 + at, "category_id": 1, "keypoints": each} for at, each in enumerate(points)
        ],
        "categories": [{"id": 1, "name": "eye", "keypoints": ["inner", "outer"]}],
    } | changes  # fmt: skip
    (folder / "set" / "points.json").write_text(json.dumps(content))
    return str(folder / "set" / "points.json")


def values(source):
    return np.stack([source.parameters[name] for name in source.named(())], axis=1)


@pytest.mark.parametrize("shape", [(5,), (3, 2)])
def test_an_array_for_each_image_is_read_as_columns(folder, shape):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32), None, rng.integers(0, 9, shape)]
    source = open_source(manifest(folder, arrays))
    expected = [np.full(shape, np.nan) if array is None else array for array in arrays]
    np.testing.assert_array_equal(values(source), np.reshape(expected, (3, -1)))
    assert infer_task((), source) == ("keypoints" if len(shape) == 2 else "regression")
    assert source.named(("places",)) == source.named(())


def test_arrays_are_left_alone_where_there_are_labels(folder):
    source = open_source(manifest(folder, [np.zeros(2)] * 3, "path,places,label", ",1"))
    assert source.parameters["places"].tolist() == [f"{name}.npy" for name in NAMES]
    assert infer_task((), source) == "classification"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.zeros(3), np.zeros(4), None], "line 3 of .* holds an array of shape"),
        ([np.zeros((3, 3)), None, None], "of shape \\(3, 3\\); a file holds the numbers of one image"),
        ([np.zeros(0), None, None], "of shape \\(0,\\)"),
        ([np.array(["a"]), None, None], "no numbers"),
        ([np.array([{}], dtype=object), None, None], "cannot be read"),
        ([np.zeros(1001), None, None], "1,001 numbers; give at most 1,000"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_by_their_line(folder, arrays, message):
    with pytest.raises(UsageError, match=message):
        open_source(manifest(folder, arrays))


def test_an_array_that_is_missing_or_cut_off_is_named(folder):
    spec = manifest(folder, [np.zeros(3)] * 3)
    (folder / "b.png.npy").write_bytes((folder / "b.png.npy").read_bytes()[:-4])
    with pytest.raises(UsageError, match=r"line 3 .*b\.png\.npy', which cannot be read"):
        open_source(spec)
    (folder / "b.png.npy").unlink()
    with pytest.raises(UsageError, match=r"line 3 .*b\.png\.npy', which is not there"):
        open_source(spec)


POINTS = [[1, 2, 2, 3, 4, 1], [5, 6, 2, 0, 0, 0]]


@pytest.mark.parametrize("spec", ["{file}", "{set}::{file}", "{csv}::{file}"])
def test_landmarks_of_a_coco_file_go_to_their_images(folder, spec):
    file = coco(folder, POINTS)
    (folder / "set.csv").write_text("path,light\nset/c.png,1\nset/b.png,2\nset/a.png,3\n")
    source = open_source(spec.format(file=file, set=folder / "set", csv=folder / "set.csv"))
    expected = {"a.png": [1, 2, 3, 4], "b.png": [5, 6, np.nan, np.nan], "c.png": [np.nan] * 4}
    rows = [expected[path.split("/")[-1]] for path in source.paths]
    np.testing.assert_array_equal(values(source), rows)
    assert source.target_names == ["inner_x", "inner_y", "outer_x", "outer_y"]
    assert infer_task((), source) == "keypoints"
    assert source.pixels(0).shape[:2] == (16, 8)


def test_landmarks_of_a_coco_file_are_brought_to_the_size_of_the_input(folder):
    source = open_source(coco(folder, POINTS), transform=Transform(resize=(8, 16)))
    np.testing.assert_array_equal(values(source)[0], [2, 1, 6, 2])


@pytest.mark.parametrize(
    ("points", "changes", "message"),
    [
        (POINTS, {"images": 3}, "of another form"),
        (POINTS, {"categories": None}, "of another form"),
        (POINTS, {"annotations": [{"image_id": 7, "bbox": [0, 0, 1, 1]}]}, "no keypoints"),
        ([[1, 2, 2, 3, 4]], {}, "no triples of numbers"),
        ([["x", 2, 2]], {}, "no triples of numbers"),
        ([[1, 2, 2]], {}, "1 keypoints for 'a.png', and there are 2"),
        ([[float("inf"), 2, 2, 3, 4, 1]], {}, "not finite"),
        ([[0, 0, 0, 0, 0, 0]], {}, "no point that is there"),
        ([*POINTS, POINTS[0], POINTS[0]], {}, "annotates image 10, which it does not list"),
        (POINTS, {"images": [{"id": 7, "file_name": "z"}, {"id": 8, "file_name": "y"}]}, "none of the 3 images"),
        (POINTS, {"images": [{"id": 7}, {"id": 8}]}, "has no file_name"),
    ],
)  # fmt: skip
def test_coco_files_that_cannot_be_used_are_refused(folder, points, changes, message):
    file = coco(folder, points, **changes)
    with pytest.raises(UsageError, match=message):
        open_source(f"{folder / 'set'}::{file}")


def test_two_objects_in_an_image_and_two_categories_are_refused(folder):
    annotation = {"image_id": 7, "category_id": 1, "keypoints": POINTS[0]}
    with pytest.raises(UsageError, match="two objects in"):
        open_source(coco(folder, [], annotations=[annotation, annotation]))
    with pytest.raises(UsageError, match="of 2 categories"):
        open_source(
            coco(folder, [], annotations=[annotation, {**annotation, "image_id": 8, "category_id": 2}])
        )
