"""The published method on a landmark DNN, through a study: the heatmaps that the authors' own functions gave."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hudd.study import Study

pytestmark = pytest.mark.slow

NETWORK = Path(__file__).parents[1] / "lrp" / "test_golden_2021.py"
MODEL = f"""
import runpy

from hudd.data import Transform

net = runpy.run_path({str(NETWORK)!r})["KeypointNet"]
net.transform = Transform(grayscale=True)
"""


@pytest.mark.parametrize(("area", "explained"), [("all", "worst"), ("mouth", "worst:23,24,25,26")])
def test_a_study_explains_the_worst_landmark_as_the_authors_do(lrp_golden, tmp_path, area, explained):
    (tmp_path / "model.py").write_text(MODEL)
    stored = [torch.from_numpy(lrp_golden[key]) for key in lrp_golden if key.startswith("kp/w/")]
    names = runpy.run_path(str(NETWORK))["KeypointNet"]().state_dict()
    save_file(dict(zip(names, stored, strict=True)), tmp_path / "kp.safetensors")
    places = lrp_golden["kp/label_xy"]
    known = np.where((places == 0).all(axis=2, keepdims=True), np.nan, places)
    np.savez(tmp_path / "test.npz", images=lrp_golden["kp/input_u8"], targets=known)
    study = Study.create(
        tmp_path / "study",
        model=f"{tmp_path / 'model.py'}:net",
        weights=str(tmp_path / "kp.safetensors"),
        test=str(tmp_path / "test.npz"),
        preset="hudd-2021",
        threshold="0.5",
        explained=explained,
    )
    study.heatmaps()
    assert study.task_name == "keypoints"
    assert study.explained("test").tolist() == lrp_golden[f"kp/worst_keypoint_{area}"].tolist()
    seen = study.values("test")["output"].reshape(4, 27, 2)
    np.testing.assert_allclose(seen, lrp_golden["kp/pred_xy"], atol=1e-3)
    names = ["conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "conv5", "conv6", "convt1", "convt2"]
    compared = [name for name in names if name in study.layers]
    assert len(compared) >= 8
    for name in compared:
        theirs = lrp_golden[f"kp/{area}/HM/{names.index(name):02d}"]
        scale = np.abs(theirs).max(axis=(1, 2, 3), keepdims=True)
        assert (np.abs(study.heatmaps_of(name)[...] - theirs) / scale).max() <= 1e-5, name
