"""Recorded passes: when they are recorded and replayed, that they change nothing, that nothing is looked at in them.

Where there is no GPU, a stand-in takes the recorder's place: as a CUDA graph does, it runs the same pass over the same
memory, into which inputs and targets are copied.
"""

from __future__ import annotations

import functools
import pickle
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import hudd
from hudd.capture import RelevanceGraph, capture
from hudd.errors import HuddError, HuddWarning, UsageError
from hudd.lrp.replay import CudaRecorder, Explain, Explained, Inputs, Recordings, copied
from hudd.lrp.run import selected

aten = torch.ops.aten
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Residual(nn.Module):
    """A residual net in which relevance meets outputs without positive contributions, attention, and a late pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.branch(x)).flatten(2).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1))


@pytest.fixture(autouse=True)
def _one_capture_a_model(monkeypatch: pytest.MonkeyPatch, known: dict[object, RelevanceGraph]) -> None:
    """Capture takes nearly all the time of these tests."""

    def remembered(model: nn.Module, example: tuple[Tensor, ...]) -> RelevanceGraph:
        key = model, *(tensor.shape[1:] for tensor in example)
        if key not in known:
            known[key] = capture(model, example)
        return known[key]

    monkeypatch.setattr("hudd.lrp.engine.capture", remembered)


@pytest.fixture(scope="module")
def known() -> dict[object, RelevanceGraph]:
    return {}


@pytest.fixture(scope="module")
def net() -> Residual:
    torch.manual_seed(0)
    model = Residual().eval()
    with torch.no_grad():
        model.branch[2].weight[:3] = -model.branch[2].weight[:3].abs()
        model.branch[2].bias[:3] = -0.1
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn((12, 3, 12, 12), generator=torch.Generator().manual_seed(1))


class Looking(TorchDispatchMode):
    """Within, no number of a tensor may be looked at, nor may a shape depend on one."""

    _LOOKS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default,
              aten.masked_select.default, aten._unique2.default, aten.unique_dim.default)  # fmt: skip

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flags = [index for index in args[1] if index is not None] if func is aten.index.Tensor else []
        assert func not in self._LOOKS, f"{func} looks at a number"
        assert all(index.dtype != torch.bool for index in flags), "a mask makes a shape depend on numbers"
        return func(*args, **(kwargs or {}))


class StandIn:
    """A recording that runs the pass once more."""

    def __init__(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> None:
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        self._rows = None if rows is None else rows.clone()
        self._explain = explain
        self.replays = 0

    def replay(self, inputs: Inputs, rows: Tensor | None) -> Explained:
        for static, tensor in zip(self._inputs, inputs):
            static.copy_(tensor)
        if self._rows is not None:
            assert rows is not None
            self._rows.copy_(rows)
        with Looking():
            relevance, doubts = self._explain(self._inputs, functools.partial(selected, self._rows))
        self.replays += 1
        return copied(relevance), doubts


class StandInRecorder(CudaRecorder):
    """Counts what it records."""

    def __init__(self) -> None:
        self.made: list[StandIn] = []

    def check(self, inputs: Inputs) -> None:
        pass

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> StandIn:
        self.made.append(StandIn(explain, inputs, rows))
        return self.made[-1]

    @property
    def replays(self) -> list[int]:
        return [recording.replays for recording in self.made]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> StandInRecorder:
    """In place of CUDA's, with rules that may not look at a number, as on a GPU."""
    made = StandInRecorder()
    monkeypatch.setattr("hudd.lrp.engine.CudaRecorder", lambda: made)
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    return made


def _tensors(relevance: hudd.Relevance) -> dict[str, Tensor]:
    found = {f"layer {name}": heatmap for name, heatmap in relevance.layers.items()}
    found |= {f"conservation {name}": leak for name, leak in relevance.conservation.items()}
    for kind in ("outputs", "inputs"):
        found |= {f"{kind} {i}": tensor for i, tensor in enumerate(getattr(relevance, kind))}
    return {**found, "explained": relevance.explained}


def _assert_equal(ours: hudd.Relevance, theirs: hudd.Relevance) -> None:
    left, right = _tensors(ours), _tensors(theirs)
    assert list(left) == list(right)
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def _looked_at(lrp: hudd.LRP, batch: Tensor, target: Any = None) -> hudd.Relevance:
    """By rules that look before they go on, as on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hudd.lrp.run._halts", lambda tensor: False)
        return lrp.attribute(batch, target)


RULES = [
    "epsilon",
    "epsilon-plus",
    "epsilon-gamma-box",
    "epsilon-alpha2-beta1-flat",
    "attnlrp",
    "z-box(-2, 2)",
]
TARGETS: list[Any] = [None, 2, [0, 1, 2, 3], torch.tensor([4, 3, 2, 1]), (1,), [(3,), (0,), (1,), (1,)]]


@pytest.mark.parametrize("rules", RULES)
def test_replaying_changes_nothing(
    net: Residual, images: Tensor, recorder: StandInRecorder, rules: str
) -> None:
    plain, recorded = hudd.LRP(net, rules=rules), hudd.LRP(net, rules=rules, cuda_graphs=True)
    for batch in images.split(4):
        for target in TARGETS:
            _assert_equal(recorded.attribute(batch, target), _looked_at(plain, batch, target))
    assert len(recorder.made) >= 2  # the predicted class, and chosen ones
    assert sum(recorder.replays) >= 3 * len(TARGETS) - 6  # the others ran to be known, or to be made up for


def test_the_first_batch_runs_the_second_is_recorded(
    net: Residual, images: Tensor, recorder: StandInRecorder
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


def test_a_callable_is_not_recorded(net: Residual, images: Tensor, recorder: StandInRecorder) -> None:
    lrp, plain = hudd.LRP(net, cuda_graphs=True), hudd.LRP(net)
    for _ in range(3):
        _assert_equal(
            lrp.attribute(images, lambda output: output.clone()),
            _looked_at(plain, images, lambda output: output.clone()),
        )
    assert recorder.made == []


def test_results_stay(net: Residual, images: Tensor, recorder: StandInRecorder) -> None:
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    kept = [lrp.attribute(batch) for batch in images.split(4)]
    for batch, relevance in zip(images.split(4), kept):
        _assert_equal(relevance, hudd.LRP(net, rules="epsilon").attribute(batch))
    assert kept[2].inputs[0] is kept[2].layers["stem.0"]


def test_a_wrong_target_is_refused_before_the_replay(
    net: Residual, images: Tensor, recorder: StandInRecorder
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
            _assert_equal(lrp.attribute(batch), hudd.LRP(model).attribute(batch))
    assert recorder.replays == [1, 1, 1]


def _kinds() -> Iterator[Tensor]:
    """Inputs of one size more each."""
    yield from (torch.zeros(size, 1) for size in range(1, 9))


def _explain(inputs: Inputs, enter: object) -> Explained:
    return hudd.Relevance(inputs, torch.zeros(len(inputs[0]))), {}


def test_what_has_not_come_for_long_is_forgotten() -> None:
    recorder = StandInRecorder()
    recordings = Recordings(recorder, kept=2)
    one, two, three, *_ = _kinds()
    for inputs in (one, one, two, two, one):
        recordings.run(_explain, (inputs,), None)
    assert recorder.replays == [2, 1]
    recordings.run(_explain, (three,), None)  # forgets the second
    recordings.run(_explain, (one,), None)
    assert recorder.replays == [3, 1]
    for _ in range(2):
        recordings.run(_explain, (two,), None)
    assert recorder.replays == [3, 1, 1]
    recordings.clear()
    recordings.run(_explain, (one,), None)
    assert recorder.replays == [3, 1, 1]


def test_more_kinds_in_turn_than_are_kept_are_never_recorded() -> None:
    recorder = StandInRecorder()
    recordings = Recordings(recorder, kept=7)
    for _ in range(5):
        for inputs in _kinds():
            recordings.run(_explain, (inputs,), None)
    assert recorder.made == []


def test_what_was_taken_for_granted_is_made_up_for(
    net: Residual, images: Tensor, monkeypatch: pytest.MonkeyPatch
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
        _assert_equal(lrp.attribute(images), looking)
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
        _assert_equal(lrp.attribute(batch), _looked_at(hudd.LRP(model, rules="z-plus"), batch))
        assert recorder.replays == wanted


def test_bias_shares_without_looking(net: Residual, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = hudd.LRP(net, bias_share=True).attribute(images[:3])
    monkeypatch.setattr("hudd.lrp.run._halts", lambda tensor: True)
    ours = hudd.LRP(net, bias_share=True).attribute(images[:3])
    _assert_equal(ours, looking)
    for name, share in ours.bias_share.items():
        torch.testing.assert_close(share, looking.bias_share[name], rtol=0, atol=1e-12)


class Unrecordable(StandInRecorder):
    """Fails as CUDA does where a pass waits for the GPU."""

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> StandIn:
        raise HuddError("the pass cannot be recorded as a CUDA graph: it waits")


def test_where_graphs_are_optional_passes_run_without(
    net: Residual, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = hudd.LRP(net, rules="epsilon").attribute(images[:4])
    on_cpu = hudd.LRP(net, rules="epsilon", cuda_graphs="auto")
    for _ in range(3):
        _assert_equal(on_cpu.attribute(images[:4]), plain)
    monkeypatch.setattr("hudd.lrp.engine.CudaRecorder", Unrecordable)
    lrp = hudd.LRP(net, rules="epsilon", cuda_graphs="auto")
    lrp.attribute(images[:4])
    with pytest.warns(HuddWarning, match="going on without CUDA graphs: the pass cannot be recorded"):
        _assert_equal(lrp.attribute(images[:4]), plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        _assert_equal(lrp.attribute(images[:4]), plain)
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
    net: Residual, images: Tensor, recorder: StandInRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "record", lambda *passed: Alone(*passed))
    plain, lrp = hudd.LRP(net, rules="epsilon"), hudd.LRP(net, rules="epsilon", cuda_graphs=True)
    batches = images.split(4)
    wanted = [_looked_at(plain, batch) for batch in batches]
    for batch in batches[:2]:
        lrp.attribute(batch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda turn: lrp.attribute(batches[turn % 3]), range(12)))
    for turn, relevance in enumerate(found):
        _assert_equal(relevance, wanted[turn % 3])


def test_a_copy_has_nothing_recorded(net: Residual, images: Tensor, recorder: StandInRecorder) -> None:
    recordings = Recordings(recorder, 2, optional=True)
    recordings._entries["kind"] = None  # type: ignore[assignment]
    copy = pickle.loads(pickle.dumps(recordings))
    assert (copy._entries, copy._kept, copy._optional) == ({}, 2, True)


def test_wrong_calls(net: Residual, images: Tensor) -> None:
    with pytest.raises(UsageError, match="records passes of a GPU, but an input is on cpu"):
        hudd.LRP(net, cuda_graphs=True).attribute(images)
    with pytest.raises(UsageError, match="leave out cuda_graphs or bias_share"):
        hudd.LRP(net, cuda_graphs=True, bias_share=True)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """cuDNN with algorithms that give the same bits each time."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("pool", ["none", "channel"])
def test_cuda_graphs_give_the_same_bits(
    net: Residual, images: Tensor, deterministic: None, rules: str, pool: str
) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    plain = hudd.LRP(model, rules=rules, pool=pool)
    recorded = hudd.LRP(model, rules=rules, pool=pool, cuda_graphs=True)
    for batch in images.cuda().split(4):
        for target in [*TARGETS, torch.tensor([1, 0, 4, 2], device="cuda")]:
            _assert_equal(recorded.attribute(batch, target), plain.attribute(batch, target))


@pytest.mark.cuda
@needs_cuda
def test_cuda_graphs_replay_on_any_stream(net: Residual, images: Tensor, deterministic: None) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    recorded, plain = hudd.LRP(model, cuda_graphs=True), hudd.LRP(model)
    batches = images.cuda().split(4)
    streams = [torch.cuda.Stream() for _ in range(4)]
    torch.cuda.synchronize()
    found = []
    for turn in range(20):
        with torch.cuda.stream(streams[turn % 4]):
            found.append(recorded.attribute(batches[turn % 3]))
    torch.cuda.synchronize()
    for turn, relevance in enumerate(found):
        _assert_equal(relevance, plain.attribute(batches[turn % 3]))


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("rules", RULES)
def test_a_batch_on_cuda_is_not_halted(net: Residual, images: Tensor, rules: str) -> None:
    model = Residual().cuda().eval()
    model.load_state_dict(net.state_dict())
    batch, lrp = images.cuda(), hudd.LRP(model, rules=rules)
    for target in TARGETS[:2]:
        lrp.attribute(batch, target)
    lrp._settled = lambda plan, explain: explain()[0]  # type: ignore[method-assign]  # it reads flags, after a batch
    torch.cuda.set_sync_debug_mode("error")
    try:
        for target in TARGETS[:2]:
            lrp.attribute(batch, target)
    finally:
        torch.cuda.set_sync_debug_mode("default")
