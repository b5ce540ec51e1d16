"""``hudd monitor`` on the digits case: what it prints, and the program in a process that has torch alone."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hudd.errors import HuddError
from hudd.features.monitor import ActivationMoments, Monitor, Reference
from hudd.review.view import view
from hudd.study import Study
from hudd.study.monitoring import StudyMonitor, fit_monitor
from hudd.summary import cause_facts

pytestmark = pytest.mark.slow

FRESH = """
import json, sys, torch

extra = {"hudd-monitor.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
images = torch.load(sys.argv[2])
found = [[each.tolist() for each in program(images[start:start + size])]
         for size in (1, 2, 7, len(images)) for start in range(0, len(images), size)]
assert "hudd" not in sys.modules
print(json.dumps([json.loads(extra["hudd-monitor.json"]), found]))
"""


@pytest.fixture(scope="module")
def images(demo):
    """Forty test images as the DNN takes them in."""
    return Study.open(demo).source("test").load(np.arange(0, 600, 15))


def in_a_fresh_process(program, images, folder):
    torch.save(images, folder / "images.pt")
    command = [sys.executable, "-I", "-c", FRESH, program, folder / "images.pt"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    about, found = json.loads(done.stdout)
    sizes, at, whole = (1, 2, 7, len(images)), 0, []
    for size in sizes:
        count = -(-len(images) // size)
        parts = found[at : at + count]
        whole.append([np.concatenate([part[column] for part in parts]) for column in range(4)])
        at += count
    return about, whole


def test_the_program_says_the_same_without_hudd_in_batches_of_any_size(demo, hudd, images, tmp_path):
    code, out, err = hudd("monitor", demo, "--out", tmp_path / "m.pt2", "--json")
    assert (code, err) == (0, "")
    about, found = in_a_fresh_process(tmp_path / "m.pt2", images, tmp_path)
    assert about == json.loads(out)
    study = Study.open(demo)
    names = {cause.number: cause.name for cause in cause_facts(view(study)) if cause.common}
    assert about["causes"] == {str(number): names[number] for number in sorted(names)}
    made = fit_monitor(study.inputs, names)
    with torch.no_grad():
        cause, distance, score, alarm = (each.numpy() for each in made.monitor(images))
    assert set(cause.tolist()) <= set(names)
    for one in found:
        np.testing.assert_array_equal(one[0], cause)
        np.testing.assert_allclose(one[1], distance, rtol=1e-4)
        np.testing.assert_allclose(one[2], score, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(one[3], alarm)
    assert alarm.any()
    assert not alarm.all()


def test_what_is_printed_is_counted_on_images_that_the_monitor_was_not_fitted_on(demo, hudd, tmp_path):
    _, out, _ = hudd("monitor", demo, "--out", tmp_path / "m.pt2", "--json")
    figures = json.loads(out)["figures"]
    assert (figures["on"], figures["images"]) == ("test", 600)
    split = Study.open(demo).split("test")
    right, wrong = 1 - split.score[split.correct], 1 - split.score[~split.correct]
    ahead = (wrong[:, None] > right).mean() + (wrong[:, None] == right).mean() / 2
    assert figures["auroc"]["usual"]["value"] == pytest.approx(ahead, abs=1e-6)
    gain = figures["auroc"]["monitor"]["value"] - figures["auroc"]["usual"]["value"]
    assert figures["differences"]["monitor_less_usual"]["value"] == pytest.approx(gain)
    assert figures["false_alarms"]["count"] <= 0.05 * figures["false_alarms"]["of"]
    _, out, _ = hudd("monitor", demo, "--out", tmp_path / "n.pt2", "--false-alarms", "0.2")
    low, high = figures["differences"]["monitor_less_usual"]["interval"]
    verdict = "tells failures better" if low > 0 or high < 0 else "no better than"
    assert verdict in " ".join(out.split())
    assert "each by a monitor fitted without it" in " ".join(out.split())
    assert "1 - largest probability" in out


def test_the_judge_set_judges_where_there_is_one(demo, hudd, tmp_path):
    study = Study.open(shutil.copytree(demo, tmp_path / "study"))
    test = np.load(demo / "data" / "test.npz")
    kept = {key: test[key][:200] for key in ("images", "labels")}
    kept["images"] = np.roll(kept["images"], 1, axis=2)
    np.savez(tmp_path / "judge.npz", class_names=np.array(study.class_names), **kept)
    study.configure(judge=str(tmp_path / "judge.npz"), allow_overlap=True).test()
    code, out, _ = hudd("monitor", study.path, "--out", tmp_path / "m.pt2", "--json")
    figures = json.loads(out)["figures"]
    assert (code, figures["on"], figures["images"]) == (0, "judge", 200)
    assert figures["failures"] == int((~study.split("judge").correct).sum())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--out", "m.onnx"), 2, "does not end in .pt2; name a file such as monitor.pt2."),
        (("--out", "none/m.pt2"), 2, "is in a folder that does not exist"),
        (("--out", "there.pt2"), 2, "exists; give --overwrite to replace it"),
        (("--out", "m.pt2", "--false-alarms", "0"), 2, "give one above 0 and below 1, such as 0.05."),
        (("--out", "m.pt2", "--false-alarms", "nan"), 2, "give one above 0 and below 1, such as 0.05."),
    ],
)
def test_refusals(demo, hudd, tmp_path, monkeypatch, options, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.pt2").write_bytes(b"mine")
    found, _, err = hudd("monitor", demo, *options)
    assert found == code
    assert message in err
    assert (tmp_path / "there.pt2").read_bytes() == b"mine"
    assert not (tmp_path / "m.pt2").exists()


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(x.flatten(1)) if x.sum() > 0 else self.last(-x.flatten(1))


class Fixed(Branching):
    def forward(self, x):
        return self.last(x.reshape(2, 4))


@pytest.mark.parametrize("kind", [Branching, Fixed])
def test_a_model_that_cannot_be_exported_is_said_to_be_one(kind, tmp_path):
    example = torch.ones(2, 1, 2, 2)
    columns = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    reference = Reference.fit(columns, [4], np.arange(40) < 20, (np.arange(40) < 20).astype(np.int64))
    monitor = Monitor(ActivationMoments(kind().eval(), example), reference)
    made = StudyMonitor(monitor, 0.0, {1: "dark"}, 0.05, SimpleNamespace(to_dict=dict), example, {})
    with pytest.raises(HuddError, match=r"torch\.export cannot make a program of the model.*x\.size\(0\)"):
        made.save(tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())
