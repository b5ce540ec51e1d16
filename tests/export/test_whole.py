"""Exports are whole and of one state, replace only what hudd exported, and tell the clusters as reviewed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from hudd.errors import HuddError, UsageError
from hudd.export import FORMATS, export, export_one
from hudd.export import base as whole
from hudd.export.manifest import NAME, Manifest
from hudd.review.review import Review

CLUSTERS = 3
WRITTEN = tuple(name for name in FORMATS if name != "openodd")  # the causes of these studies have no rules


@pytest.fixture
def study(make_study):
    study = make_study()
    study.path.mkdir()
    return study


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def titles(found):
    return {int(number): name for number, name in found}


def clusters_in(out):
    """Name of each format to what it tells: number of each error's cluster, and the name of each number."""
    told = {}
    with (out / "errors.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    told["csv"] = (
        [int(row["cluster"]) for row in rows],
        titles((r["cluster"], r["cluster_name"]) for r in rows),
    )
    with (out / "clusters.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    sizes = {int(row["cluster"]): int(row["size"]) for row in rows}
    assert sizes == {number: told["csv"][0].count(number) for number in sizes}
    told["clusters.csv"] = told["csv"][0], titles((row["cluster"], row["name"]) for row in rows)
    content = json.loads((out / "coco" / "annotations.json").read_text())
    told["coco"] = (
        [one["category_id"] for one in content["annotations"]],
        titles((one["id"], one["name"][3:]) for one in content["categories"]),
    )
    samples = json.loads((out / "fiftyone" / "samples.json").read_text())["samples"]
    causes = [one["root_cause"]["label"].partition(" ") for one in samples if "error" in one["tags"]]
    told["fiftyone"] = [int(number) for number, _, _ in causes], titles((n, name) for n, _, name in causes)
    (path,) = (out / "tensors").glob("*.safetensors")
    with safe_open(path, "np") as file:
        named = json.loads(file.metadata()["clusters"])
    told["tensors"] = load_file(path)["cluster"].tolist(), titles((n, name[3:]) for n, name in named.items())
    with h5py.File(out / "virelay" / "analysis.h5") as file:
        found = file["features.3/cluster/hudd"]
        assert found.attrs["k"] == len(sizes)
        named = json.loads(found.attrs["names"])
        told["virelay"] = found[...].tolist(), titles((number, name[3:]) for number, name in named.items())
    folders = [path.name.removeprefix("cluster_").partition("_") for path in (out / "errors").iterdir()]
    told["images"] = told["csv"][0], titles((n, name.replace("_", " ")) for n, _, name in folders)
    for number, _, name in folders:
        folder = out / "errors" / "_".join(filter(None, (f"cluster_{number}", name)))
        assert len(list(folder.iterdir())) == 2 * sizes[int(number)]
    try:
        import pandas

        frame = pandas.read_parquet(out / "parquet" / "errors.parquet")
        told["parquet"] = frame["cluster"].tolist(), titles(zip(frame["cluster"], frame["cluster_name"]))
    except ImportError:
        pass
    return told


def test_everything_tells_the_clusters_as_they_were_reviewed(study, tmp_path):
    """Report, every export and the tables that ``hudd show`` prints agree in number and names."""
    from hudd.report.facts import gather
    from hudd.report.report import write_report
    from hudd.review.view import view
    from hudd.summary.tables import clusters_table

    review = Review(study)
    review.merge(2, 3)
    review.split(1)
    review.set(2, name="low sun")
    review.set(4, name="glare")
    expected = review.groups.label.tolist(), {1: "", 2: "low sun", 4: "glare"}
    out = tmp_path / "out"
    export(study, out, formats=WRITTEN)
    for name, told in clusters_in(out).items():
        assert told == expected, name
    tasks = json.loads((out / "label-studio" / "tasks.json").read_text())
    unsafe = {one["data"]["cluster"] for one in tasks}
    assert unsafe <= {"01", "02 low sun", "04 glare"}
    with (out / "selection.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {f"{int(row['cluster']):02d} {row['cluster_name']}".strip() for row in rows} == unsafe
    facts = gather(study)
    assert {one.label: one.name for one in facts.clusters} == expected[1]
    page = write_report(study).read_text()
    assert sorted(map(int, re.findall(r'id="cluster-(\d+)"', page))) == [1, 2, 4]
    assert "low sun" in page
    assert "glare" in page
    shown = clusters_table(view(study))
    assert dict(zip(shown["cluster"], shown["name"])) == expected[1]


def test_a_second_export_leaves_nothing_of_the_first(study, tmp_path):
    out = tmp_path / "out"
    export(study, out)
    assert len(list((out / "errors").iterdir())) == CLUSTERS
    Review(study).merge(1, 2)
    export(study, out)
    assert len(list((out / "errors").iterdir())) == CLUSTERS - 1
    errors = [path for path in (out / "errors").rglob("*.png") if "heatmap" not in path.name]
    assert len(errors) == len(study.errors)
    assert Manifest.read(out).files.keys() == files(out).keys() - {NAME}


def test_other_formats_of_a_folder_are_kept_and_follow_the_review(study, tmp_path):
    out = tmp_path / "out"
    export(study, out, formats=("csv", "coco"))
    before = files(out / "coco")
    export(study, out, formats=("tensors",))
    assert files(out / "coco") == before
    Review(study).merge(1, 2)
    export(study, out, formats=("images",))
    assert len(list((out / "errors").iterdir())) == CLUSTERS - 1
    with (out / "clusters.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == CLUSTERS - 1
    content = json.loads((out / "coco" / "annotations.json").read_text())
    assert len(content["categories"]) == CLUSTERS - 1
    assert set(Manifest.read(out).formats) == {"csv", "coco", "tensors", "images"}


def test_equal_exports_have_equal_digests(study, tmp_path):
    export(study, tmp_path / "one")
    export(study, tmp_path / "two")
    one, two = (Manifest.read(tmp_path / name) for name in ("one", "two"))
    assert one == two
    Review(study).set(1, name="glare")
    export(study, tmp_path / "two")
    assert Manifest.read(tmp_path / "two").digest != one.digest


def add(path, text="mine"):
    def change(out):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text)

    return change


@pytest.mark.parametrize(
    "change",
    [
        add("notes.txt"),
        add("errors/cluster_01/mine.png"),
        add("empty/folder/x"),
        add("errors.csv"),
        add(NAME, "{}"),
        lambda out: (out / "mine").mkdir(),
        lambda out: (out / "link").symlink_to(out.parent),
        lambda out: (out / NAME).unlink(),
        lambda out: ((out / "errors.csv").unlink(), (out / "errors.csv").symlink_to(out / "layers.csv")),
    ],
)
def test_what_is_not_an_export_of_hudd_stays(study, tmp_path, change):
    out = tmp_path / "out"
    export(study, out)
    change(out)
    before = files(out)
    with pytest.raises(UsageError, match=r"name another folder"):
        export(study, out, formats=("csv",))
    assert files(out) == before


def test_what_was_taken_out_of_an_export_does_not_matter(study, tmp_path):
    out = tmp_path / "out"
    export(study, out)
    (out / "errors.csv").unlink()
    export(study, out)
    assert (out / "errors.csv").exists()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_failing_export_leaves_the_old_one(study, tmp_path, monkeypatch, name):
    out = tmp_path / "out"
    export(study, out, formats=(name,))
    before = files(out)
    original, calls = whole.EXPORTERS[name], []

    def fail(results, folder, **options):
        original.write(results, folder, **options)
        calls.append(folder)
        raise HuddError("a picture cannot be read")

    monkeypatch.setattr(whole.EXPORTERS.own[name].replace(":", "."), whole.replace(original, write=fail))
    with pytest.raises(HuddError, match="a picture"):
        export(study, out, formats=(name,))
    assert calls
    assert files(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "study"]


def test_an_export_starts_again_where_the_review_changes_meanwhile(study, tmp_path, monkeypatch):
    original, tries = whole.EXPORTERS["csv"], []

    def write(results, folder):
        if not tries:
            Review(study).merge(1, 2)
        tries.append(folder)
        return original.write(results, folder)

    monkeypatch.setattr("hudd.export.tables.TABLES", whole.replace(original, write=write))
    export(study, tmp_path / "out", formats=("images", "csv"))
    assert len(tries) == 2
    assert len(list((tmp_path / "out" / "errors").iterdir())) == CLUSTERS - 1

    def never_at_rest(results, folder):
        Review(study).set(1, note=str(time.time()))
        return original.write(results, folder)

    monkeypatch.setattr("hudd.export.tables.TABLES", whole.replace(original, write=never_at_rest))
    before = files(tmp_path / "out")
    with pytest.raises(HuddError, match="being changed by others"):
        export(study, tmp_path / "out", formats=("csv",))
    assert files(tmp_path / "out") == before


def test_links_are_followed_outside_a_study_only(study, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    export_one(study, tmp_path / "link" / "out", "coco")
    assert (elsewhere / "out" / "annotations.json").exists()
    (study.path / "export").symlink_to(elsewhere)
    for place in ("export", "export/out"):
        with pytest.raises(UsageError, match="symbolic link"):
            export(study, study.path / place)


def test_the_folder_one_is_in_is_not_replaced(study, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in (".", "..", tmp_path / "here"):
        with pytest.raises(UsageError, match="the folder that you are in"):
            export(study, place)
    export(study, "in-it")
    assert (tmp_path / "here" / "in-it" / "errors.csv").exists()


KILLED = """
import runpy, signal, sys
from pathlib import Path
from hudd.export import base, export, tables

study = runpy.run_path(sys.argv[1])["FakeStudy"](Path(sys.argv[2]) / "study")
original = base.EXPORTERS["csv"]

def write(results, folder):
    found = original.write(results, folder)
    print("written", flush=True)
    signal.pause()
    return found

tables.TABLES = base.replace(original, write=write)
export(study, Path(sys.argv[2]) / "out", formats=("images", "csv"))
"""


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.parametrize(("how", "earlier"), [(signal.SIGTERM, False), (signal.SIGKILL, True)])
def test_a_killed_export_leaves_the_old_or_nothing(study, tmp_path, how, earlier):
    out = tmp_path / "out"
    if earlier:
        export(study, out)
        Review(study).merge(1, 2)
    before = files(out)
    fake = Path(__file__).parents[1] / "fake_study.py"
    command = [sys.executable, "-c", KILLED, str(fake), str(tmp_path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ)
    writer.stdout.readline()
    writer.send_signal(how)
    writer.wait()
    writer.stdout.close()
    assert files(out) == before
    export(study, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "study"]
