"""Passes recorded as CUDA graphs: where shapes repeat, one launch takes the place of some hundreds.

Recorded is all that a batch takes, the forward pass and the backward sweep, with the addresses of its memory. So inputs
are copied to where the recording reads them, and results from where it leaves them.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from hudd.errors import HuddError, UsageError
from hudd.lrp.run import Doubts, Enter, Relevance, entering, selected
from hudd.lrp.targets import Target, indices

Inputs = tuple[Tensor, ...]
Explained = tuple[Relevance, Doubts]
Explain = Callable[[Inputs, Enter], Explained]

KEPT = 4  # recordings a model; each holds the results of a batch


class Recording(Protocol):
    """A recorded pass."""

    def replay(self, inputs: Inputs, rows: Tensor | None) -> Explained:
        """Explain a batch like the recorded one, at the outputs in these rows of indices; None: the predicted class."""


class Recorder(Protocol):
    """What makes recordings."""

    def check(self, inputs: Inputs) -> None:
        """Raise UsageError if a pass over these inputs cannot be recorded."""

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> Recording:
        """Record a pass that has been run before, over inputs and rows like these."""


@dataclass
class _Entry:
    output: torch.Size
    recording: Recording | None = None


class Recordings:
    """The recorded passes of one plan: when to record, when to replay, what to keep.

    A batch's kind is the shapes and strides of its inputs, and whether the predicted class is explained. The first
    batch of a kind is run as it is, the second is recorded, and from then on the recording is replayed. Kinds that have
    not come for long are forgotten, also those seen but once: where more kinds than are kept take turns, none is ever
    recorded, which is better than recording each in vain.

    Parameters
    ----------
    recorder : Recorder
        Makes the recordings.
    kept : int, optional
        How many kinds are remembered.
    """

    def __init__(self, recorder: Recorder, kept: int = KEPT) -> None:
        self._recorder, self._kept = recorder, kept
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def check(self, inputs: Inputs) -> None:
        """Raise UsageError if a pass over these inputs cannot be recorded."""
        self._recorder.check(inputs)

    def clear(self) -> None:
        """Forget everything: the way of relevance has changed."""
        self._entries.clear()

    def run(self, explain: Explain, inputs: Inputs, target: Target) -> Explained:
        """Explain a batch, by a recording where there is one; `target` is no callable.

        Raises
        ------
        UsageError
            If the target does not fit the outputs.
        HuddError
            If the pass cannot be recorded.
        """
        kind = (*((tensor.shape, tensor.stride()) for tensor in inputs), target is None)
        entry = self._entries.get(kind)
        if entry is None:
            explained = explain(inputs, functools.partial(entering, target))
            self._entries[kind] = _Entry(explained[0].output.shape)
            if len(self._entries) > self._kept:
                self._entries.popitem(last=False)
            return explained
        rows = None if target is None else indices(target, entry.output)
        if entry.recording is None:
            entry.recording = self._recorder.record(explain, inputs, rows)
        self._entries.move_to_end(kind)
        return entry.recording.replay(inputs, rows)


class CudaRecorder:
    """Records passes as CUDA graphs.

    All share a stream and one pool of memory, as no two of them are ever under way at once.
    """

    def check(self, inputs: Inputs) -> None:
        """Raise UsageError if an input is not on a CUDA device."""
        elsewhere = [str(tensor.device) for tensor in inputs if not tensor.is_cuda]
        if elsewhere:
            raise UsageError(
                f"cuda_graphs=True records passes of a GPU, but an input is on {elsewhere[0]}; move model and inputs "
                "to CUDA, or leave cuda_graphs out."
            )

    def record(self, explain: Explain, inputs: Inputs, rows: Tensor | None) -> Recording:
        """Record a pass that has been run before, over inputs and rows like these."""
        with torch.cuda.device(inputs[0].device):
            return _CudaRecording(self, explain, inputs, rows)

    @functools.cached_property
    def stream(self) -> torch.cuda.Stream:
        """Where passes are recorded."""
        return torch.cuda.Stream()

    @functools.cached_property
    def pool(self) -> Any:
        """A handle of the memory, opaque."""
        return torch.cuda.graph_pool_handle()

    @functools.cached_property
    def through(self) -> torch.cuda.Event:
        """When the last replay is through, on whatever stream it was."""
        return torch.cuda.Event()


class _CudaRecording:
    """One pass as a CUDA graph, with the memory that it reads and writes."""

    def __init__(self, recorder: CudaRecorder, explain: Explain, inputs: Inputs, rows: Tensor | None) -> None:
        self._through = recorder.through
        self._inputs = tuple(tensor.clone() for tensor in inputs)
        self._rows = None if rows is None else rows.to(inputs[0].device)
        enter = functools.partial(selected, self._rows)
        before = torch.cuda.current_stream()
        recorder.stream.wait_stream(before)
        with torch.cuda.stream(recorder.stream):
            explain(
                self._inputs, enter
            )  # a stream's work space for cuBLAS and cuDNN is made at its first use
        self._graph = torch.cuda.CUDAGraph()
        recording = torch.cuda.graph(
            self._graph,
            pool=recorder.pool,
            stream=recorder.stream,
            capture_error_mode="thread_local",  # other threads may pin memory meanwhile, or watch over NCCL
        )
        try:
            with torch.cuda.stream(before), recording:  # graph() does not go back to it if it fails
                self._relevance, self._doubts = explain(self._inputs, enter)
        except RuntimeError as error:
            cause = str(error.__context__ or error).strip().partition("\n")[0].rstrip(".")
            raise HuddError(
                f"the pass for inputs of shape {tuple(inputs[0].shape)} cannot be recorded as a CUDA graph: {cause}. "
                "Leave cuda_graphs out, or take smaller batches if memory ran out."
            ) from error

    def replay(self, inputs: Inputs, rows: Tensor | None) -> Explained:
        """Explain a batch like the recorded one; the results are copies."""
        stream = torch.cuda.current_stream(inputs[0].device)
        stream.wait_event(self._through)
        for static, tensor in zip(self._inputs, inputs):
            static.copy_(tensor)
        if self._rows is not None and rows is not None:
            self._rows.copy_(rows, non_blocking=True)
        with torch.cuda.device(inputs[0].device):
            self._graph.replay()
        relevance = copied(self._relevance)
        doubts = {node: doubt.clone() for node, doubt in self._doubts.items()}
        self._through.record(stream)
        return relevance, doubts


def copied(relevance: Relevance) -> Relevance:
    """The same in memory of its own; what was one tensor stays one."""
    copies: dict[int, Tensor] = {}

    def own(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            copies[id(tensor)] = tensor.clone()
        return copies[id(tensor)]

    return replace(
        relevance,
        outputs=tuple(map(own, relevance.outputs)),
        explained=own(relevance.explained),
        inputs=tuple(map(own, relevance.inputs)),
        layers={name: own(heatmap) for name, heatmap in relevance.layers.items()},
        conservation={name: own(leak) for name, leak in relevance.conservation.items()},
    )
