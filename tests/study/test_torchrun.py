"""A whole study by two processes under torchrun is that of one."""

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def hudd(*arguments, launcher=()):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *launcher, "-m", "hudd", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def options(material, preset="hudd"):
    named = ("model", "weights", "test", "train", "improvement")
    epochs = ["--epochs", "2"]
    return [
        *(text for name in named for text in (f"--{name}", material[name])),
        *epochs,
        "--batch-size",
        "8",
        "--preset",
        preset,
    ]


def datasets(path):
    found = {}
    with h5py.File(path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def shards(path):
    return {file.relative_to(path): file.read_bytes() for file in (path / "shards").rglob("0*.h5")}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["hudd", "moments"])
def test_two_processes_make_the_study_of_one(material, tmp_path, preset):
    """Trained weights apart: there gradients are added up in another order."""
    done = hudd("run", tmp_path / "one", *options(material, preset))
    assert done.returncode == 0, done.stderr
    done = hudd("run", tmp_path / "two", *options(material, preset), launcher=TORCHRUN)
    assert done.returncode == 0, done.stderr
    assert shards(tmp_path / "two") == shards(tmp_path / "one")
    one, two = datasets(tmp_path / "one"), datasets(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, values in one.items():
        if name.startswith("retraining/") and values.dtype.kind == "f":
            np.testing.assert_allclose(two[name], values, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(two[name], values)
    shown = json.loads(hudd("show", tmp_path / "two", "--provenance", "--json").stdout)
    assert {step["processes"] for step in shown["steps"].values()} == {2}


@pytest.mark.slow
def test_what_goes_wrong_is_said_once(material, tmp_path):
    study = tmp_path / "study"
    done = hudd("run", study, *options(material), "--layer", "nothing", launcher=TORCHRUN)
    assert done.returncode
    assert done.stderr.count("hudd: layer 'nothing' is not in this study") == 1
    with np.load(material["improvement"]) as known:
        np.savez(tmp_path / "unlabelled.npz", **{**known, "labels": np.full(len(known["labels"]), -1)})
    given = options({**material, "improvement": str(tmp_path / "unlabelled.npz")})
    done = hudd("run", study, *given, launcher=TORCHRUN)
    assert done.returncode == 0, done.stderr
    shards_before = shards(study)
    assert shards_before
    done = hudd("retrain", study, launcher=TORCHRUN)
    assert done.returncode
    assert done.stderr.count("images to retrain on have no label") == 1
    done = hudd("run", study, "--improvement", material["improvement"])
    assert done.returncode == 0, done.stderr
    heatmaps = {path: content for path, content in shards_before.items() if "heatmaps" in path.parts}
    assert heatmaps.items() <= shards(study).items()
