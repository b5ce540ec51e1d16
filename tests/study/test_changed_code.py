"""What the code of a model or a transform does is noticed, not how it is written."""

import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.study import Study

pytestmark = pytest.mark.slow

CODE = """
import random

import numpy as np
import torch
from torch import nn

SCALE, DRIVE, CHANCE = 1.0, 1.0, 0.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.last = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x):
        return self.last(x * DRIVE)


def prepared(image):
    return np.asarray(image.convert("L"), np.float32)[None] / 255 * SCALE + CHANCE * random.random()


def net():
    return Net()


net.transform = lambda image: torch.from_numpy(prepared(image))
"""


@pytest.fixture
def written(material, tmp_path):
    """A study of a DNN with a transform of its own, and a function that edits their code."""
    model = tmp_path / "model.py"

    def edit(old="", new=""):
        model.write_text(CODE.replace(old, new, 1))
        return Study.open(tmp_path / "study") if (tmp_path / "study").exists() else None

    edit()
    choices = {**material, "model": f"{model}:net", "weights": None, "train": None, "improvement": None}
    Study.create(tmp_path / "study", **choices).cluster()
    return edit


@pytest.mark.parametrize(
    "change", [("SCALE, DRIVE", "DRIVE, SCALE"), ("import random\n", "# now\nimport random\n")]
)
def test_code_that_does_the_same_is_up_to_date(written, change):
    study = written(*change)
    marks = study.marks()
    assert study.cluster().marks() == marks


@pytest.mark.parametrize(
    "change",
    [
        ("SCALE, DRIVE, CHANCE = 1.0, 1.0", "SCALE, DRIVE, CHANCE = 0.2, 1.0"),
        ("SCALE, DRIVE, CHANCE = 1.0, 1.0", "SCALE, DRIVE, CHANCE = 1.0, 0.2"),
        ("/ 255", "/ 255 * 0.98"),
        ("self.last(x * DRIVE)", "self.last(x.flip(3))"),
    ],
)
def test_code_that_does_something_else_is_noticed(written, change):
    study = written(*change)
    marks = study.marks()
    now = study.cluster().marks()
    assert all(now[name] != marks[name] for name in marks if not name.startswith("evaluate"))
    assert Study.open(study.path).cluster().marks() == now


def test_rounding_makes_nothing_stale(finished):
    marks, study = finished.marks(), Study.open(finished.path)
    study.model.module.register_forward_hook(lambda module, given, made: made * (1 + 1e-6))
    assert study.run().marks() == marks


def test_a_transform_of_chance_is_refused(written):
    study = written("CHANCE = 1.0, 1.0, 0.0", "CHANCE = 1.0, 1.0, 0.1")
    with pytest.raises(
        UsageError, match=r"makes something else of 'test\.npz\[0\]' each time; give one without"
    ):
        study.test()


@pytest.mark.parametrize("probe", ["nothing", np.zeros(3), np.full((6, 128), np.nan)])
def test_a_probe_that_is_none_is_taken_anew(finished, probe):
    known = finished.inputs.probes["test"]
    with finished.file.writing() as h5:
        h5["splits/test"].attrs["probe"] = probe
    np.testing.assert_allclose(Study.open(finished.path).inputs.probes["test"], known, rtol=1e-4, atol=1e-6)
