"""Layer-wise relevance propagation of whole batches: one forward pass, one backward sweep, every layer asked for."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from hudd.arithmetic import ARITHMETICS, contracting
from hudd.capture.export import capture, tensors_of, without_autocast
from hudd.errors import HuddWarning, UsageError
from hudd.lrp import kernels
from hudd.lrp.baseline import Baseline, averaged, baselines_of, inputs_of
from hudd.lrp.bias import BIASES, Bias
from hudd.lrp.checks import check_batch, check_options, layer_paths
from hudd.lrp.classification import ClassifiedGraph, classify
from hudd.lrp.composites import Composite, composite_of
from hudd.lrp.difference import DifferenceRun
from hudd.lrp.difference import check as check_difference
from hudd.lrp.message import Message
from hudd.lrp.operations import with_attnlrp, with_signals
from hudd.lrp.plan import Plan, make_plan, store_channels_last
from hudd.lrp.recommended import recommended_for
from hudd.lrp.relevance import Relevance
from hudd.lrp.replay import CudaRecorder, Explained, Inputs, Recordings
from hudd.lrp.rules import Rule
from hudd.lrp.run import Enter, Run, entering, wrongly_guessed
from hudd.lrp.targets import Target

_PRECISIONS = (*ARITHMETICS, "float16")
_STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_LITTLE = 0.05  # a share of the explained output
_POOLS = ("none", "channel", "space")
# A lock for each LRP; not its attribute, so that one can be copied and pickled.
_planning: WeakKeyDictionary[LRP, threading.Lock] = WeakKeyDictionary()


class LRP:
    """Layer-wise relevance propagation for a torch model.

    Parameters
    ----------
    model : torch.nn.Module
        Any model that torch.export can trace; used in evaluation mode and left unchanged. Its weights are read when the
        first batch comes (or at :meth:`prepare`); make a new LRP after changing them.
    rules : str, Rule, Composite or mapping, optional
        See :func:`hudd.lrp.composites.composite_of`; "recommended": see :func:`hudd.lrp.recommended.recommended`.
    layers : sequence of str or None, optional
        Module paths (``"features.3"``), globs allowed; ``"block@1"`` is the second call of ``"block"``. None: every
        module that redistributes relevance, and the input. A layer with several inputs has no heatmap: a glob leaves it
        out. The backward sweep ends at the earliest layer asked for; ``"input"`` asks for the input.
    pool : {"none", "channel", "space"}, optional
        Keep relevance whole, sum it over space or tokens (one number per channel) or over channels (a map), whichever
        axis they are along (see :attr:`channels`). Layers without spatial axes are kept whole.
    precision : {"float32", "tf32", "bfloat16", "float16"}, optional
        Arithmetic of convolutions and matrix products, see :func:`hudd.arithmetic.contracting`: float32 as IEEE 754 has
        it, whatever torch is set to, or "tf32" or "bfloat16"; all else is computed in float32. "float16" computes in
        float32 and stores float16.
    at : {"input", "output"}, optional
        Which side of a layer its heatmap shows; at the output no layer that has several is shown.
    bias : {"absorb", "ignore", "distribute"}, optional
        What becomes of the share of a bias or another constant summand: it stays there, so that less than the explained
        output may reach the input; it is left out of the denominators; or it is shared over what the output reads. See
        :mod:`hudd.lrp.bias`.
    bias_share : bool, optional
        Also sum up what biases absorb, layer by layer; takes another sweep, image by image.
    cuda_graphs : bool or "auto", optional
        On a GPU record the pass where shapes come again, and replay it from then on: one launch in place of some
        hundreds, which is most of a small batch's time. Batches explained by a callable run unrecorded. True: raise
        where a pass cannot be recorded; "auto": run it unrecorded.
    recompute : bool, optional
        Compute activations again in place of keeping them all until relevance comes back, segment by segment: less
        memory for deep models at the cost of one more forward pass at most. The results are the same to the bit.
    dtype : {"float32", "float16", "bfloat16"}, optional
        How whole heatmaps are stored; by default as in `precision` ("tf32": float32).
    baseline : {"mean", "blur", "noise"}, float, Tensor, callable or list of these, optional
        Explain what sets the output of an image apart from that of its baseline: its mean colour, the blurred image,
        noise with the image's mean and deviation, a number for all pixels, images that spread to the inputs' shape, or
        what a callable makes of the inputs. Of a list, the mean relevance. See :mod:`hudd.lrp.difference`.

    Raises
    ------
    UsageError
        If an argument is not one of those.

    Examples
    --------
    >>> lrp = LRP(model, rules="epsilon-plus", layers=["features.*"])
    >>> relevance = lrp.attribute(images)
    >>> relevance.layers["features.3"].shape
    torch.Size([32, 64, 27, 27])

    Notes
    -----
    Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation", PLoS ONE 10(7).
    """

    def __init__(
        self,
        model: nn.Module,
        rules: str | Rule | Composite | Mapping[str, str | Rule] = "epsilon-plus",
        layers: Sequence[str] | None = None,
        pool: str = "none",
        precision: str = "float32",
        at: str = "input",
        bias: Bias = "absorb",
        bias_share: bool = False,
        cuda_graphs: bool | Literal["auto"] = False,
        recompute: bool = False,
        dtype: str | None = None,
        baseline: Baseline | Sequence[Baseline] | None = None,
    ) -> None:
        for name, value, allowed in (
            ("pool", pool, _POOLS),
            ("precision", precision, _PRECISIONS),
            ("dtype", dtype, (None, *_STORED)),
            ("cuda_graphs", cuda_graphs, (False, True, "auto")),
            ("at", at, ("input", "output")),
            ("bias", bias, BIASES),
        ):
            if value not in allowed:
                raise UsageError(
                    f"{name} must be one of {', '.join(map(str, allowed))}, but it is {value!r}."
                )
        self._baselines = baselines_of(baseline)
        self.model = model
        self._recommended = rules == "recommended"  # known once the model is captured
        self.composite = composite_of("epsilon-plus" if self._recommended else rules)
        check_options(cuda_graphs, bias, bias_share, recompute, self._baselines, self.composite)
        self._asked = None if layers is None else layer_paths(layers)
        self._pool, self._at = pool, at
        self._arithmetic = precision if precision in ARITHMETICS else "float32"
        self._dtype = _STORED.get(dtype or precision, torch.float32)
        self._bias, self._bias_share, self._recompute = bias, bias_share, recompute
        self._told = False  # that little relevance is left
        self._graph: ClassifiedGraph | None = None
        self._plans: dict[int, Plan] = {}  # by the number of outputs explained
        self._recordings = None  # of the first output's plan
        if cuda_graphs and bias == "absorb" and not bias_share and not self._baselines:
            self._recordings = Recordings(CudaRecorder(), optional=cuda_graphs == "auto")
        self._shapes: list[torch.Size] = []
        kernels.expect_batches(self)

    def __repr__(self) -> str:
        asked = "every layer" if self._asked is None else f"layers {', '.join(self._asked)}"
        rules = "recommended" if self._recommended else self.composite.name
        return (
            f"<LRP of {type(self.model).__name__} by {rules}, {asked} at its {self._at}, pool {self._pool}>"
        )

    @property
    def head(self) -> str:
        """What is explained where the model ends in a head, such as a softmax, in words; see :class:`Relevance`.

        Empty where the output itself is, and before :meth:`prepare`.
        """
        return "; ".join(dict.fromkeys(plan.head for plan in self._plans.values() if plan.head))

    def prepare(self, example: Tensor | Sequence[Tensor]) -> tuple[str, ...]:
        """Capture the model for inputs like `example` and return the names of the layers that will come.

        Parameters
        ----------
        example : Tensor or sequence of Tensor
            (N, ...) float32 an input, or one a model input; only shapes matter.

        Raises
        ------
        UsageError
            If the example is no such, the model cannot be captured, or a layer is not in it or has no heatmap.
        UnsupportedOperation
            If relevance meets an operation without a conserving rule.
        """
        batch = tensors_of(example)
        check_batch(batch)
        with without_autocast(batch):
            return self._planned(batch, every_output=False).layers

    @property
    def channels(self) -> dict[str, int]:
        """The axis of the channels in the whole heatmap of each layer, from its end; empty before :meth:`prepare`.

        As the layer's convolution or linear layer has it; of a layer without weights as the nearest one before or
        after it does, through operations that keep the axis, else last of (N, T, C) and behind the images of others.
        """
        plans = self._plans.values()
        return {name: axis for plan in plans for name, axis in plan.channels[self._at].items()}

    def _planned(self, batch: Inputs, *, every_output: bool) -> Plan:
        """The way of relevance from the model's first output, or from all of them."""
        with _planning.setdefault(self, threading.Lock()):
            return self._plan(batch, every_output)

    def _plan(self, batch: Inputs, every_output: bool) -> Plan:
        shapes = [tensor.shape[1:] for tensor in batch]
        # A capture may have the sizes of all axes but the first in it.
        if self._graph is None or shapes != self._shapes:
            self._graph = classify(capture(self.model, batch))
            if self._recommended:
                self.composite = recommended_for(self._graph, against_baseline=bool(self._baselines))
            store_channels_last(self._graph)
            if self._baselines:  # other graphs
                self._graph = classify(with_signals(self._graph.captured))
            elif self.composite.attention == "attnlrp":
                self._graph = classify(with_attnlrp(self._graph.captured))
            self._shapes, self._plans = shapes, {}
            self._forget_recordings()
        explained = len(self._graph.captured.outputs) if every_output else 1
        if explained not in self._plans:
            in_place = self._bias == "absorb" and not self._baselines
            plan = make_plan(
                self._graph, self.composite, self._asked, explained, self._recompute, self._at, in_place
            )
            if self._baselines:
                check_difference(plan)
            self._plans[explained] = plan
        return self._plans[explained]

    @torch.no_grad()
    def attribute(self, inputs: Tensor | Sequence[Tensor], target: Target = None) -> Relevance:
        """Explain a batch.

        Parameters
        ----------
        inputs : Tensor or sequence of Tensor
            (N, ...) float32, as the model takes them.
        target : None, int, Tensor, list, tuple or callable, optional
            What to explain, see :func:`hudd.lrp.targets.selection`; a callable gets the model's output and returns the
            relevance that enters there, of the same shape. None: each image's predicted class. Any target sees the
            output as (N, ...): the images come first, wherever the model has them.
            Of a model with several outputs the first is explained; a callable gets the tuple of all of them and returns
            a list with the relevance that enters at each, or None where nothing does.
            A model that ends in a head (softmax, sigmoid, their logarithms, a mean of members' softmaxes ...) is
            explained before it: the class is that of the output, the value the pre-activation's own. What a callable
            returns is then read as multiples of the output, and as many of the pre-activation enter.

        Returns
        -------
        Relevance

        Raises
        ------
        UsageError
            If the inputs, the layers or the target do not fit the model, or it cannot be captured.
        UnsupportedOperation
            If relevance meets an operation without a conserving rule.
        """
        batch = tensors_of(inputs)
        check_batch(batch)
        with without_autocast(batch):
            relevance = self._attribute(batch, target)
        if not (self._told or batch[0].is_cuda):  # looking would halt a GPU
            self._tell_where_little_is_left(relevance)
        return relevance

    def __call__(
        self, inputs: Tensor | Sequence[Tensor], target: Target = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Return the relevance of the inputs alone, as captum does; :meth:`attribute` tells more.

        Returns
        -------
        Tensor or tuple of Tensor
            Of the shape of the inputs, a tuple where they are several.

        Raises
        ------
        UsageError
            Also if ``layers`` was given without "input".
        UnsupportedOperation
            As from :meth:`attribute`.
        """
        found = self.attribute(inputs, target).inputs
        if not found:
            raise UsageError(
                "the inputs' relevance was not asked for; leave `layers` out, or name 'input' in it."
            )
        return found[0] if isinstance(inputs, Tensor) else found

    def _tell_where_little_is_left(self, relevance: Relevance) -> None:
        """Warn, once, if most relevance is gone before the input, or else the layer that is asked for."""
        shown = [*([] if self._asked is None else list(relevance.layers)[:1]), "input"]
        layer = next((name for name in reversed(shown) if name in relevance.cumulative), None)
        known = relevance.explained != 0
        if layer is None or not known.any():
            return
        left = float((1 + relevance.cumulative[layer][known]).abs().median())
        if not left < _LITTLE:
            return
        self._told = True
        lost = {name: float(part[known].median()) for name, part in relevance.conservation.items()}
        by = min(lost, key=lost.__getitem__) if lost else None
        absorbed = f"; most is absorbed by '{by}'" if by is not None and lost[by] < 0 else ""
        warnings.warn(
            f"only {left:.2%} of the explained output reach '{layer}'{absorbed}. Its heatmap shows where relevance "
            "goes, but not how much; with `bias='distribute'` biases absorb nothing.",
            HuddWarning,
            stacklevel=3,
        )

    def _attribute(self, batch: Inputs, target: Target) -> Relevance:
        recorded = self._recordings is not None and self._recordings.takes(batch)
        if isinstance(target, Tensor):
            target = target.cpu()  # if a GPU has to be waited for, then before the batch and not amid it
        plan = self._planned(batch, every_output=callable(target))  # a capture writes torch's settings itself
        with contracting(self._arithmetic):
            return self._attribute_by(plan, batch, target, recorded=recorded)

    def _attribute_by(self, plan: Plan, batch: Inputs, target: Target, *, recorded: bool) -> Relevance:
        enter = functools.partial(entering, target)
        explain = functools.partial(self._explained, plan)
        if self._baselines:
            return averaged([self._against(plan, batch, enter, baseline) for baseline in self._baselines])
        if recorded and self._recordings is not None and not callable(target):
            result = self._settled(plan, functools.partial(self._recordings.run, explain, batch, target))
        else:
            result = self._settled(plan, functools.partial(explain, batch, enter))
        if self._bias_share:
            result.conservation, result.bias_share = self._with_bias_shares(
                plan, batch, enter(result.outputs)
            )
        return result

    def _against(self, plan: Plan, batch: Inputs, enter: Enter, baseline: Baseline) -> Relevance:
        """The relevance of what sets a batch apart from a baseline."""
        made = inputs_of(baseline, batch)
        run = DifferenceRun(plan, self.composite, self._pool, self._dtype, self._at, made)
        return run.explain(batch, enter)

    def _explained(self, plan: Plan, batch: Inputs, enter: Enter, *, bias_share: bool = False) -> Explained:
        run = Run(plan, self.composite, self._pool, self._dtype, self._at, self._bias, bias_share)
        return run.explain(batch, enter), run.doubts

    def _settled(self, plan: Plan, explain: Callable[[], Explained]) -> Relevance:
        """The relevance, explained again as long as a rule went a wrong way without looking."""
        while True:
            relevance, doubts = explain()
            wrong = wrongly_guessed(doubts)
            if not wrong:
                return relevance
            plan.both_signs |= wrong
            self._forget_recordings()

    def _forget_recordings(self) -> None:
        if self._recordings is not None:
            self._recordings.clear()

    def _with_bias_shares(
        self, plan: Plan, batch: tuple[Tensor, ...], entered: list[Message | None]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Conservation and bias shares, of the same sums, rounding included; one image at a time.

        For inside a model the batch may be any axis, or lie within one.
        """
        leaks: dict[str, list[Tensor]] = {name: [] for name in plan.layers}
        shares: dict[str, list[Tensor]] = {name: [] for name in plan.layers}
        if not plan.heads:
            entered = [None if message is None else message.plain() for message in entered]
        for sample in range(len(batch[0])):
            one = slice(sample, sample + 1)
            image = tuple(tensor[one] for tensor in batch)
            enter = functools.partial(_part, entered, one)
            explain = functools.partial(self._explained, plan, image, enter, bias_share=True)
            single = self._settled(plan, explain)
            for name, share in single.bias_share.items():
                leaks[name].append(single.conservation[name])
                shares[name].append(share)
        whole, shared = (
            {name: torch.cat(parts) for name, parts in found.items()} for found in (leaks, shares)
        )
        return whole, shared


def _part(entered: list[Message | None], samples: slice, outputs: tuple[Tensor, ...]) -> list[Message | None]:
    """What enters at each output for some images of a batch, in memory of its own: crossing writes over it."""
    return [
        None
        if message is None
        else Message(message.value[samples].clone(), None if message.factor is None else output)
        for message, output in zip(entered, outputs)
    ]
