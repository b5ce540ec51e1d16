import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from hudd.data import open_source
from hudd.errors import UsageError


@pytest.fixture
def write(tmp_path, draw):
    """Write a manifest whose images exist."""
    for seed in range(4):
        draw(tmp_path / "img" / f"{seed}.png", seed)

    def write(text, name="m.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_class_numbers_and_parameters(write):
    source = open_source(
        write("path,label,width,tag,ok\nimg/0.png,1,30,x,True\nimg/1.png,0,,y,False\nimg/2.png,,40.5,,True\n")
    )
    assert source.paths == ["img/0.png", "img/1.png", "img/2.png"]
    assert source.labels.tolist() == [1, 0, -1]
    assert source.class_names == ["0", "1"]
    np.testing.assert_array_equal(source.parameters["width"], [30, np.nan, 40.5])
    assert source.parameters["tag"].tolist() == ["x", "y", ""]
    assert source.parameters["ok"].tolist() == [1.0, 0.0, 1.0]
    assert source.load([0, 2]).shape == (2, 3, 6, 5)
    source.check()


def test_class_names_of_the_manifest_and_of_the_network(write):
    file = write("path,label\nimg/0.png,stop\nimg/1.png,go\nimg/2.png,\n")
    source = open_source(file)
    assert source.class_names == ["go", "stop"]
    assert source.labels.tolist() == [1, 0, -1]
    assert open_source(file, class_names=["stop", "go"]).labels.tolist() == [0, 1, -1]
    with pytest.raises(UsageError, match=r"line 3 of '.*m\.csv' has class 'go'"):
        open_source(file, class_names=["stop", "yield"])


@pytest.mark.parametrize("word", ["None", "null", "NA", "nan"])
def test_words_for_nothing_are_names_but_among_numbers(write, word):
    file = write(
        f"path,label,split,tag,width\nimg/0.png,{word},{word},{word},1.5\n"
        f"img/1.png,go,{word},x,{word}\nimg/2.png,,{word},,\n"
    )
    source = open_source(f"{file}::{word}", class_names=["go", word])
    assert source.labels.tolist() == [1, 0, -1]
    assert source.parameters["tag"].tolist() == [word, "x", ""]
    np.testing.assert_array_equal(source.parameters["width"], [1.5, np.nan, np.nan])
    numbered = open_source(write(f"path,label\nimg/0.png,1\nimg/1.png,{word}\n"))
    assert numbered.labels.tolist() == [1, -1]
    alone = open_source(write(f"path,label,ok\nimg/0.png,{word},True\nimg/1.png,,{word}\n"))
    assert alone.class_names == [word]
    assert alone.parameters["ok"].tolist() == ["True", word]


def test_class_number_beyond_the_network(write):
    with pytest.raises(UsageError, match=r"line 2 .* has class number 7, but class numbers run from 0 to 2"):
        open_source(write("path,label\nimg/0.png,7\n"), class_names=["a", "b", "c"])
    with pytest.raises(UsageError, match=r"line 2 .* has label 0\.5"):
        open_source(write("path,label\nimg/0.png,0.5\n"))


def test_splits(write):
    file = write(
        "split,path,label,w\ntrain,img/0.png,0,1\ntest,img/1.png,1,2\ntrain,img/2.png,2,3\ntest,img/3.png,9,4\n"
    )
    source = open_source(f"{file}::train")
    assert source.paths == ["img/0.png", "img/2.png"]
    assert source.parameters["w"].tolist() == [1, 3]
    assert set(source.parameters) == {"w"}
    with pytest.raises(
        UsageError, match=r"holds the splits 'test', 'train'; say which, e\.g\. '.*m\.csv::test'"
    ):
        open_source(file)
    with pytest.raises(UsageError, match="no split 'val'; choose one of 'test', 'train'"):
        open_source(f"{file}::val")
    with pytest.raises(UsageError, match="line 5 of"):  # the line of the file, not of the split
        open_source(f"{file}::test", class_names=["a", "b"])
    assert len(open_source(write("split,path\na,img/0.png\n"))) == 1
    with pytest.raises(UsageError, match="no column 'split'"):
        open_source(str(write("path\nimg/0.png\n")) + "::test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "has no rows"),
        ("file,label\na.png,1\n", "no column 'path'.*'file', 'label'"),
        ("path\nimg/0.png\nimg/0.png\n", "line 3 .* once more .*line 2"),
        ("path,label\n,1\n", "line 2 .* has no path"),
        ('path,label\n"img/0.png,1\n', "cannot be read"),
    ],
)
def test_unusable_manifests(write, text, message):
    with pytest.raises(UsageError, match=message):
        open_source(write(text))


def test_a_missing_image_is_named(write):
    source = open_source(write("path\nimg/none.png\n"))
    for work in (source.check, source.fingerprint, lambda: source.load([0])):
        with pytest.raises(UsageError, match=r"img/none\.png'"):
            work()


def test_absolute_paths(write, tmp_path):
    assert open_source(write(f"path\n{tmp_path}/img/0.png\n")).load([0]).shape == (1, 3, 6, 5)


def test_parquet(write, tmp_path):
    if importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    table = pd.DataFrame({"path": ["img/0.png", "img/1.png"], "label": ["b", "a"], "depth": [1, 2]})
    table.to_parquet(tmp_path / "m.parquet")
    source = open_source(tmp_path / "m.parquet")
    assert source.labels.tolist() == [1, 0]
    assert source.parameters["depth"].tolist() == [1, 2]


def test_parquet_without_its_reader(write, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"\.\[parquet\]"):
        open_source(write("", "m.parquet"))


def test_traffic_signs(gtsrb):
    source = open_source(f"{gtsrb / 'manifest.csv'}::test")
    tree = open_source(gtsrb / "test")
    assert sorted(source.paths) == [f"test/{path}" for path in tree.paths]
    by_path = dict(zip(tree.paths, tree.labels))
    assert all(
        by_path[path.removeprefix("test/")] == label for path, label in zip(source.paths, source.labels)
    )
    height, width, _ = source.picture(17).shape
    assert (source.parameters["width"][17], source.parameters["height"][17]) == (width, height)
