"""Passes recorded as CUDA graphs: where shapes repeat, one launch takes the place of some hundreds.

Recorded is all that a batch takes, the forward pass and the backward sweep, with the addresses of its memory. So inputs
are copied to where the recording reads them, and results from where it leaves them.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from hudd.errors import HuddError, HuddWarning, UsageError
from hudd.lrp.relevance import Relevance
from hudd.lrp.run import Doubts, Enter, entering, selected
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
    recordable: bool = True


class Recordings:
    """The recorded passes of one plan: when to record, when to replay, what to keep.

    A batch's kind is the shapes and strides of its inputs, and whether the predicted class is explained. The first
    batch of a kind is run as it is, the second is recorded, and from then on the recording is replayed. Kinds that have
    not come for long are forgotten, also those seen but once: where more kinds than are kept take turns, none is ever
    recorded, which is better than recording each in vain.

    Threads take turns: a recording reads and writes the same memory each time.

    Parameters
    ----------
    recorder : Recorder
        Makes the recordings.
    kept : int, optional
        How many kinds are remembered.
    optional : bool, optional
        Run what cannot be recorded as it is, with a warning, in place of raising.
    """

    def __init__(self, recorder: Recorder, kept: int = KEPT, *, optional: bool = False) -> None:
        self._recorder, self._kept, self._optional = recorder, kept, optional
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._turns = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., Recordings], tuple[Any, ...]]:
        """A copy has nothing recorded: recordings belong to their memory."""
        return functools.partial(Recordings, optional=self._optional), (type(self._recorder)(), self._kept)

    def takes(self, inputs: Inputs) -> bool:
        """Whether a pass over these inputs can be recorded.

        Raises
        ------
        UsageError
            If it cannot, unless recordings are optional.
        """
        try:
            self._recorder.check(inputs)
        except UsageError:
            if not self._optional:
                raise
            return False
        return True

    def clear(self) -> None:
        """Forget everything: the way of relevance has changed."""
        with self._turns:
            self._entries.clear()

    def run(self, explain: Explain, inputs: Inputs, target: Target) -> Explained:
        """Explain a batch, by a recording where there is one; `target` is no callable.

        Raises
        ------
        UsageError
            If the target does not fit the outputs.
        HuddError
            If the pass cannot be recorded, unless recordings are optional.
        """
        enter = functools.partial(entering, target)
        kind = (*((tensor.shape, tensor.stride()) for tensor in inputs), target is None)
        with self._turns:
            entry = self._entries.get(kind)
            if entry is None:
                explained = explain(inputs, enter)
                self._entries[kind] = _Entry(explained[0].output.shape)
                if len(self._entries) > self._kept:
                    self._entries.popitem(last=False)
                return explained
            self._entries.move_to_end(kind)
            rows = None if target is None else indices(target, entry.output)
            recording = self._recorded(entry, explain, inputs, rows)
            return explain(inputs, enter) if recording is None else recording.replay(inputs, rows)

    def _recorded(
        self, entry: _Entry, explain: Explain, inputs: Inputs, rows: Tensor | None
    ) -> Recording | None:
        """The recording, made now if there is none yet; None where there can be none."""
        if entry.recording is None and entry.recordable:
            try:
                entry.recording = self._recorder.record(explain, inputs, rows)
            except HuddError as error:
                if not self._optional:
                    raise
                entry.recordable = False
                warnings.warn(f"going on without CUDA graphs: {error}", HuddWarning, stacklevel=2)
        return entry.recording


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
            tensor.record_stream(stream)  # it may be of another one, and freed there before it is read here
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
        cumulative={name: own(leak) for name, leak in relevance.cumulative.items()},
    )
