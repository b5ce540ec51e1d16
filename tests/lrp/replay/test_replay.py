"""Recorded passes: when they are recorded and replayed, that they change nothing, and look at nothing."""

from __future__ import annotations

import runpy
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hudd
from hudd.errors import HuddError, HuddWarning, UsageError
from hudd.lrp.replay import Explain, Explained, Inputs

shared = runpy.run_path(str(Path(__file__).with_name("stand_in.py")))
RULES = shared["RULES"]
TARGETS = shared["TARGETS"]
StandIn = shared["StandIn"]
StandInRecorder = shared["StandInRecorder"]
assert_equal = shared["assert_equal"]
looked_at = shared["looked_at"]


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
def test_replaying_changes_nothing(
    net: nn.Module, images: Tensor, recorder: StandInRecorder, rules: str
) -> None:
    plain, recorded = hudd.LRP(net, rules=rules), hudd.LRP(net, rules=rules, cuda_graphs=True)
    for batch in images.split(4):
        for target in TARGETS:
            assert_equal(recorded.attribute(batch, target), looked_at(plain, batch, target))
    assert len(recorder.made) >= 2  # the predicted class, and chosen ones
    assert sum(recorder.replays) >= 3 * len(TARGETS) - 6  # the others ran to be known, or to be made up for


def test_the_first_batch_runs_the_second_is_recorded(
    net: nn.Module, images: Tensor, recorder: StandInRecorder
) -> None:
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    for wanted in ([], [1], [2], [3]):
        lrp.attribute(images[:4], 1)
        assert recorder.replays == wanted
    lrp.attribute(images[:4], [0, 1, 2, 3])  # however it is written
    assert recorder.replays == [4]
    for _ in range(2):
        lrp.attribute(images[:3], 1)  # another number of images
    assert recorder.replays == [4, 1]
    for _ in range(2):
        lrp.attribute(images[:4].contiguous(memory_format=torch.channels_last), 1)  # another layout
    assert recorder.replays == [4, 1, 1]
    lrp.attribute(images[:4], 1)
    assert recorder.replays == [5, 1, 1]


def test_a_callable_is_not_recorded(net: nn.Module, images: Tensor, recorder: StandInRecorder) -> None:
    lrp, plain = hudd.LRP(net, cuda_graphs=True), hudd.LRP(net)
    for _ in range(3):
        assert_equal(
            lrp.attribute(images, lambda output: output.clone()),
            looked_at(plain, images, lambda output: output.clone()),
        )
    assert recorder.made == []


def test_results_stay(net: nn.Module, images: Tensor, recorder: StandInRecorder) -> None:
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    kept = [lrp.attribute(batch) for batch in images.split(4)]
    for batch, relevance in zip(images.split(4), kept):
        assert_equal(relevance, hudd.LRP(net, rules="epsilon").attribute(batch))
    assert kept[2].inputs[0] is kept[2].layers["stem.0"]


def test_a_wrong_target_is_refused_before_the_replay(
    net: nn.Module, images: Tensor, recorder: StandInRecorder
) -> None:
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    for _ in range(2):
        lrp.attribute(images, 1)
    for wrong, message in ((5, "target 5 is outside"), ((1, 2), "does not fit"), ([1, 2], "has 2 entries")):
        with pytest.raises(UsageError, match=message):
            lrp.attribute(images, wrong)
    assert recorder.replays == [1]
    lrp.attribute(images, 1)
    assert recorder.replays == [2]


def test_images_of_another_size_are_recorded_anew(images: Tensor, recorder: StandInRecorder) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    lrp = hudd.LRP(model, cuda_graphs=True)
    for size in (12, 9, 12):
        for _ in range(2):
            batch = images[..., :size, :size]
            assert_equal(lrp.attribute(batch), hudd.LRP(model).attribute(batch))
    assert recorder.replays == [1, 1, 1]


def test_what_was_taken_for_granted_is_made_up_for(
    net: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = hudd.LRP(net).attribute(images)  # the net has what z-plus hopes not to meet
    recorder = StandInRecorder()
    monkeypatch.setattr("hudd.lrp.engine.CudaRecorder", lambda: recorder)
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    passes = []
    explained = hudd.LRP._explained

    def counted(self: hudd.LRP, *args: Any, **named: Any) -> Explained:
        passes.append(None)
        return explained(self, *args, **named)

    monkeypatch.setattr(hudd.LRP, "_explained", counted)
    lrp = hudd.LRP(net, cuda_graphs=True)
    for wanted in (2, 3, 4):  # the first batch twice, from then on as it should be
        assert_equal(lrp.attribute(images), looking)
        assert len(passes) == wanted
    assert recorder.replays == [2]


def test_a_recording_that_took_too_much_for_granted_is_dropped(recorder: StandInRecorder) -> None:
    bright, dark = torch.ones(2, 3, 12, 12), torch.zeros(2, 3, 12, 12)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(576, 3))
    with torch.no_grad():
        model[0].weight.abs_()
        model[0].bias.fill_(-0.1)
    lrp = hudd.LRP(model, rules="z-plus", cuda_graphs=True)
    for batch, wanted in ((bright, []), (bright, [1]), (dark, [2]), (bright, [2, 1]), (dark, [2, 2])):
        assert_equal(lrp.attribute(batch), looked_at(hudd.LRP(model, rules="z-plus"), batch))
        assert recorder.replays == wanted


def test_bias_shares_without_looking(net: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = hudd.LRP(net, bias_share=True).attribute(images[:3])
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    ours = hudd.LRP(net, bias_share=True).attribute(images[:3])
    assert_equal(ours, looking)
    for name, share in ours.bias_share.items():
        torch.testing.assert_close(share, looking.bias_share[name], rtol=0, atol=1e-12)


class Unrecordable(StandInRecorder):
    """Fails as CUDA does where a pass waits for the GPU."""

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> StandIn:
        raise HuddError("the pass cannot be recorded as a CUDA graph: it waits")


def test_where_graphs_are_optional_passes_run_without(
    net: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = hudd.LRP(net, rules="epsilon").attribute(images[:4])
    on_cpu = hudd.LRP(net, rules="epsilon", cuda_graphs="auto")
    for _ in range(3):
        assert_equal(on_cpu.attribute(images[:4]), plain)
    monkeypatch.setattr("hudd.lrp.engine.CudaRecorder", Unrecordable)
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs="auto")
    lrp.attribute(images[:4])
    with pytest.warns(HuddWarning, match="going on without CUDA graphs: the pass cannot be recorded"):
        assert_equal(lrp.attribute(images[:4]), plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert_equal(lrp.attribute(images[:4]), plain)
    strict = hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    strict.attribute(images[:4])
    with pytest.raises(HuddError, match="cannot be recorded"):
        strict.attribute(images[:4])


class Alone(StandIn):
    """A recording whose memory holds one batch at a time."""

    under_way = 0

    def replay(self, inputs: Inputs, rows: Tensor | None) -> Explained:
        Alone.under_way += 1
        time.sleep(0.01)  # another thread gets its chance
        assert Alone.under_way == 1, "two threads replay one recording at once"
        explained = super().replay(inputs, rows)
        Alone.under_way -= 1
        return explained


def test_threads_take_turns_at_a_recording(
    net: nn.Module, images: Tensor, recorder: StandInRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "record", lambda *passed: Alone(*passed))
    plain, lrp = hudd.LRP(net, rules="epsilon"), hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    batches = images.split(4)
    wanted = [looked_at(plain, batch) for batch in batches]
    for batch in batches[:2]:
        lrp.attribute(batch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda turn: lrp.attribute(batches[turn % 3]), range(12)))
    for turn, relevance in enumerate(found):
        assert_equal(relevance, wanted[turn % 3])


def test_wrong_calls(net: nn.Module, images: Tensor) -> None:
    with pytest.raises(UsageError, match="records passes of a GPU, but an input is on cpu"):
        hudd.LRP(net, cuda_graphs=True).attribute(images)
    with pytest.raises(UsageError, match="leave out cuda_graphs or bias_share"):
        hudd.LRP(net, cuda_graphs=True, bias_share=True)
