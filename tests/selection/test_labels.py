"""Labels go out and come back in every form, and every bad row is named."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.errors import UsageError
from hudd.selection import (
    export_csv,
    export_folder,
    export_label_studio,
    import_labels,
    label_studio_interface,
)

PATHS = [f"a/{i}, b.png" for i in range(6)]
CLASSES = ["stop", 'yield <&> "it\'s"', "überholen"]


def fill_csv(file, answers):
    lines = file.read_text(encoding="utf-8").splitlines()
    for row, answer in answers.items():
        lines[row + 1] = (
            lines[row + 1].replace(".png,,", f'.png,"{answer}",').replace('.png",,', f'.png","{answer}",')
        )
    file.write_text("\n".join(lines), encoding="utf-8")


def test_csv_there_and_back(tmp_path):
    file = export_csv(tmp_path / "labels.csv", PATHS[:4], {"cluster": np.array([3, 3, 1, 2])})
    assert (import_labels(file, PATHS, CLASSES) == -1).all()
    fill_csv(file, {0: "stop", 3: "überholen"})
    assert import_labels(file, PATHS, CLASSES).tolist() == [0, -1, -1, 2, -1, -1]
    assert file.read_text(encoding="utf-8").splitlines()[0] == "path,label,cluster"


def test_names_like_formulas_come_back(tmp_path):
    """Whatever images and classes are called: what hudd wrote, and what people type as they read it."""
    paths = ["=1.png", "'=1.png", "-a\n.png", "@b\udc80.png", "\tc.png", "plain.png"]
    classes = ["=HYPERLINK(1)", "'=HYPERLINK(1)", "+1", "\x1b[31m", " spaced "]
    labels = [0, 1, 2, 3, 4, 0]
    names = [classes[label] for label in labels]
    file = export_csv(tmp_path / "l.csv", paths, {"prediction": names}, labels=names)
    assert import_labels(file, paths, classes).tolist() == labels
    with file.open(newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) or not cell.isprintable()]
    file.write_text("path,label\n=1.png,+1\nplain.png,  +1\n")
    assert import_labels(file, paths, classes).tolist() == [2, -1, -1, -1, -1, 2]


@given(st.lists(st.integers(-1, 2), min_size=6, max_size=6))
def test_every_form_keeps_known_labels(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("labels")
    names = [CLASSES[label] if label >= 0 else "" for label in labels]
    files = [
        export_csv(folder / "l.csv", PATHS, {"entropy": np.linspace(0, 1, 6)}, labels=names),
        export_label_studio(
            folder / "l.json", PATHS, {}, labels=names, predictions=["stop"] * 6, scores=np.ones(6)
        ),
    ]
    for file in files:
        assert import_labels(file, PATHS, CLASSES).tolist() == labels


def test_label_studio_forms(tmp_path):
    file = export_label_studio(
        tmp_path / "l.json", PATHS, {"cluster": np.arange(6)}, predictions=["stop"] * 6
    )
    tasks = json.loads(file.read_text(encoding="utf-8"))
    assert tasks[2]["data"] == {
        "image": "/data/local-files/?d=a/2%2C%20b.png",
        "path": PATHS[2],
        "cluster": 2,
    }
    choice = tasks[0]["predictions"][0]["result"]
    tasks[0]["annotations"] = [{"was_cancelled": True, "result": choice}, {"result": choice}]
    file.write_text(json.dumps(tasks))
    assert import_labels(file, PATHS, CLASSES).tolist() == [0, -1, -1, -1, -1, -1]
    least = [{"path": PATHS[1], "image": "x", "label": "überholen", "annotator": 1}, {"path": PATHS[0]}]
    file.write_text(json.dumps(least))
    assert import_labels(file, PATHS, CLASSES).tolist() == [-1, 2, -1, -1, -1, -1]

    interface = ElementTree.fromstring(label_studio_interface(CLASSES))
    assert [choice.get("value") for choice in interface.iter("Choice")] == CLASSES
    assert interface.find("Choices").get("name") == choice[0]["from_name"]


def test_folders(tmp_path):
    classes = ["cat", "dog"]

    def picture(i):
        return np.full((4, 5, 3), i, np.uint8)

    folder = export_folder(tmp_path / "sort", PATHS, picture, classes, labels=["", "dog", "", "", "", ""])
    assert import_labels(folder, PATHS, classes).tolist() == [-1, 1, -1, -1, -1, -1]
    (folder / "_unlabelled" / "000004.png").rename(folder / "cat" / "000004.png")
    assert import_labels(folder, PATHS, classes).tolist() == [-1, 1, -1, -1, 0, -1]
    (folder / "cow").mkdir()
    (folder / "_unlabelled" / "000000.png").rename(folder / "cow" / "000000.png")
    with pytest.raises(UsageError, match=r"cow/000000\.png: class 'cow' is unknown"):
        import_labels(folder, PATHS, classes)
    with pytest.raises(UsageError, match="not empty"):
        export_folder(tmp_path / "sort", PATHS, picture, classes)
    with pytest.raises(UsageError, match="cannot be folder names"):
        export_folder(tmp_path / "other", PATHS, picture, ["../up"])


def test_numbered_classes_survive_a_spreadsheet(tmp_path):
    file = tmp_path / "l.csv"
    file.write_text('path,label\n"a/0, b.png",7\n"a/1, b.png",00012\n', encoding="utf-8-sig")
    classes = [f"{i:05d}" for i in range(20)]
    assert import_labels(file, PATHS, classes)[:2].tolist() == [7, 12]
    file.write_text('path,label\n"a/0, b.png",99\n')
    with pytest.raises(UsageError, match="row 2: class '99' is unknown"):
        import_labels(file, PATHS, classes)


def test_all_bad_rows_are_named_and_nothing_is_taken(tmp_path):
    file = tmp_path / "l.csv"
    rows = [
        "path,label",
        '"a/0, b.png",stop',
        '"a/1, b.png",stopp',
        "nowhere.png,stop",
        '"a/0, b.png",überholen',
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        import_labels(file, PATHS, CLASSES)
    for words in (
        "row 3: class 'stopp' is unknown (did you mean 'stop'?)",
        "row 4: image 'nowhere.png' is not in the improvement set",
        "row 5: 'a/0, b.png' is überholen but stop at row 2",
    ):
        assert words in str(caught.value)
    file.write_text("path,label\n" + "x.png,stop\n" * 30)
    with pytest.raises(UsageError, match="and 20 more"):
        import_labels(file, PATHS, CLASSES)


def test_known_labels_are_kept_unless_overwritten(tmp_path):
    file = tmp_path / "l.csv"
    file.write_text('path,label\n"a/0, b.png",stop\n')
    known = np.array([2, -1, 1, -1, -1, -1])
    with pytest.raises(UsageError, match=r"row 2: 'a/0, b\.png' is stop but known as überholen"):
        import_labels(file, PATHS, CLASSES, known=known)
    assert import_labels(file, PATHS, CLASSES, known=known, overwrite=True).tolist() == [0, -1, 1, -1, -1, -1]
    assert known[0] == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.csv", "file,label\n", "columns path and label"),
        ("l.json", "{", "not JSON"),
        ("l.json", "{}", "not a list"),
        ("l.json", '[{"data": {}}]', "task 1 has no data.path"),
        ("l.txt", "", "no CSV, JSON or folder"),
    ],
)
def test_unreadable_sources_are_named(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        import_labels(tmp_path / name, PATHS, CLASSES)
    with pytest.raises(UsageError, match=r"no index\.csv"):
        import_labels(tmp_path, PATHS, CLASSES)
    with pytest.raises(UsageError, match="other lengths"):
        export_csv(tmp_path / "x.csv", PATHS, {"a": [1]})


@pytest.mark.parametrize("written", ["Cat", " cat", "CAT", "cat "])
def test_classes_are_found_as_those_of_the_data_are(tmp_path, written):
    file = tmp_path / "labels.csv"
    file.write_text(f'path,label\n"{PATHS[0]}",{written}\n')
    assert import_labels(file, PATHS, ["ant", "cat"])[0] == 1


def test_a_class_with_two_readings_is_not_guessed(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(f'path,label\n"{PATHS[0]}",CAT\n')
    with pytest.raises(UsageError, match="class 'CAT' is unknown"):
        import_labels(file, PATHS, ["Cat", "cat"])
