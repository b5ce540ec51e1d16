"""Shards and weights that are gone: named, never filled in for, and made again by their step."""

import numpy as np
import pytest

from hudd.errors import HuddError
from hudd.study import Study
from hudd.study.steps.select import read_closest

READS = {
    "heatmaps": ("heatmaps", lambda study: study.heatmaps_of(study.chosen_layer)),
    "distances": ("distances", lambda study: study.distances_of(study.chosen_layer)),
    "nearest": ("select", lambda study: study.nearest_members(*pairs(study))),
    "closest": ("select", lambda study: read_closest(study).distance),
}


def pairs(study):
    return study.selection.image, study.selection.cluster


def shards(study, kind):
    return sorted((study.path / "shards" / {"closest": "nearest"}.get(kind, kind)).rglob("0*.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_shard_that_is_gone_is_named_and_made_anew(finished, kind, how):
    step, read = READS[kind]
    whole = np.array(read(finished))
    for shard in shards(finished, kind):
        shard.unlink() if how == "missing" else shard.write_bytes(shard.read_bytes()[:700])
    study = Study.open(finished.path)
    with pytest.raises(HuddError, match=rf"000000\.h5' is {how}; 'hudd {step}' computes it again"):
        read(study)
    getattr(study, step)()
    np.testing.assert_array_equal(np.array(read(study)), whole)


def test_weights_that_are_gone_are_trained_again(finished):
    weights = finished.path / "models" / "hudd-0.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    finished.retrain()
    assert weights.read_bytes() == content
