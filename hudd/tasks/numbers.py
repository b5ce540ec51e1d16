"""Numbers to predict: quantities and angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.data.targets import arrays_of
from hudd.errors import HuddError, UsageError
from hudd.language import marked
from hudd.lazy import torch
from hudd.tasks.base import Judgement, Task, TaskSubject
from hudd.tasks.choices import Explained, difference, periods, shown, thresholds
from hudd.tasks.losses import LOSSES, NumbersLoss, OwnLoss, chosen_loss

if TYPE_CHECKING:
    from hudd.data import ImageSource
    from hudd.lrp.targets import Target
    from hudd.retraining import Predictions, TrainingConfig

_FEW = 20  # images, of which the errors may well all be beyond the threshold
_NUMBERS = "biuf"


class Regression(Task):
    """A number for each target; an error is an image with a number that is off by more than its threshold.

    The outcomes are "within", which is right, and each output: the one that is farthest off, in units of its threshold.
    That is also the score.
    """

    columns: tuple[str, ...] = ("output",)
    score = marked("error over threshold")
    may_lack = False  # an image may lack some of its targets, but not all
    guesses = False  # what is explained of images without targets follows from the outputs
    losses: tuple[str, ...] = LOSSES

    def __init__(self, subject: TaskSubject) -> None:
        self.subject = subject
        self.explained = Explained.of(subject.explained)
        if len(subject.normalise) not in (0, 1, 2):
            raise UsageError(
                f"normalise has {shown(list(subject.normalise))}; give a column of the data, or two landmarks."
            )

    @property
    def threshold(self) -> str | None:
        """From where on an error counts, see :func:`hudd.tasks.choices.thresholds`."""
        return self.subject.threshold

    def mark(self) -> list[Any]:
        """Return the choices that errors and what is explained depend on."""
        one = self.subject
        return [
            type(self).__name__,
            *map(list, (one.targets, one.normalise)),
            one.threshold,
            one.explained,
            dict(one.angles),
        ]

    # -- names

    def names(self, source: ImageSource) -> list[str]:
        """Return the columns of the targets, in the order of the outputs.

        Raises
        ------
        UsageError
            If there are none, or a name is no column of numbers.
        """
        numbers = [name for name, values in source.parameters.items() if values.dtype.kind in _NUMBERS]
        globs = source.named(self.subject.targets)
        if not globs:
            there = f"the data have {shown(numbers)}" if numbers else "the data have no column of numbers"
            raise UsageError(
                f"nothing says what the DNN is to predict; name the columns with `targets`, in the order of the "
                f"outputs ({there})."
            )
        found: list[str] = []
        for glob in globs:
            fitting = [glob] if glob in numbers else [name for name in numbers if fnmatchcase(name, glob)]
            if not fitting:
                kind = "holds text" if glob in source.parameters else "is not there"
                if glob in arrays_of(source.parameters):
                    kind = "names files of arrays, which are read where the manifest has no column 'label'"
                raise UsageError(
                    f"target '{glob}' {kind}; name columns of numbers: {shown(numbers) or 'there is none'}."
                )
            found += fitting
        twice = next((name for name in found if found.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"target '{twice}' is named twice; name each output's column once.")
        return found

    def parts(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return what is judged as one, by name: the numbers of its targets."""
        return {name: [at] for at, name in enumerate(names)}

    def truth(self, source: ImageSource, names: Sequence[str]) -> np.ndarray:
        """Return (N, T) float64 targets, NaN where unknown.

        Raises
        ------
        UsageError
            If a set lacks one of the columns, or a number is infinite.
        """
        for name in names:
            if name not in source.parameters or source.parameters[name].dtype.kind not in _NUMBERS:
                raise UsageError(
                    f"'{source.paths[0]}' and the others of its set have no column '{name}' of numbers; every set "
                    "needs the columns of the targets, empty where unknown."
                )
        found = np.stack([source.parameters[name].astype(np.float64) for name in names], axis=1)
        if np.isinf(found).any():
            row, at = np.argwhere(np.isinf(found))[0]
            raise UsageError(
                f"target '{names[at]}' of '{source.paths[row]}' is {found[row, at]}; give a number, or leave it empty."
            )
        return found

    # -- what is refused

    def check(self, output: torch.Tensor, sources: Mapping[str, ImageSource]) -> None:
        """Refuse another number of outputs than of targets, unknown targets, and choices that fit neither."""
        test = sources["test"]
        names = self.names(test)
        parts = self.parts(names)
        self._check_shape(output, names)
        rows = self.explained.rows(list(parts))
        thresholds(self.threshold, list(parts), rows, None)
        for split, source in sources.items():
            truth = self.truth(source, names)
            known = self._known(truth, list(parts.values()))[:, rows]
            if split != "improvement":
                bad = ~known.all(axis=1) if not self.may_lack else ~known.any(axis=1)
                if bad.any():
                    row = int(bad.argmax())
                    raise UsageError(
                        f"'{source.paths[row]}' of the {split} set has no target"
                        f" '{list(parts)[rows[int((~known[row]).argmax())]]}'; give it a number or leave the image out."
                    )
            elif self.explained.worst and not self.guesses and not known.any(axis=1).all():
                raise UsageError(
                    f"{int((~known.any(axis=1)).sum()):,} improvement images have no targets, so that it is not known "
                    "which output of theirs is worst; explain all (`explained='all'`) or a group of outputs."
                )
            self._check_values(truth, names, source, split)
            self._scales(source, names, truth)

    def _check_shape(self, output: torch.Tensor, names: Sequence[str]) -> None:
        shape = tuple(output.shape)
        if output.ndim > 3:
            raise UsageError(
                f"the model returns {shape} for one image, maps of landmarks it seems; give `task='keypoints'`."
            )
        if output[0].numel() != len(names):
            raise UsageError(
                f"the model returns {shape} for one image, {output[0].numel()} numbers, and there are {len(names)} "
                f"targets ({shown(names)}); name the column of every output, in order, with `targets`."
            )

    def _check_values(self, truth: np.ndarray, names: Sequence[str], source: ImageSource, split: str) -> None:
        for at, name in enumerate(names):
            period = self.subject.angles.get(name)
            values = truth[:, at][np.isfinite(truth[:, at])]
            if period == 360 and len(values) >= _FEW and 1.5 < np.abs(values).max() <= 2 * np.pi:
                raise UsageError(
                    f"angle '{name}' of the {split} set runs from {values.min():.2f} to {values.max():.2f}, radians it "
                    "seems, and its period is 360; give it in degrees, or the period 6.283185."
                )

    # -- what is measured

    def _known(self, truth: np.ndarray, parts: Sequence[Sequence[int]]) -> np.ndarray:
        return np.stack([np.isfinite(truth[:, at]).all(axis=1) for at in parts], axis=1)

    def _scales(self, source: ImageSource, names: Sequence[str], truth: np.ndarray) -> np.ndarray:
        """Return (N,) what each image's errors are divided by."""
        by = self.subject.normalise
        if not by:
            return np.ones(len(source))
        if len(by) == 2:
            parts = self.parts(names)
            missing = [name for name in by if name not in parts]
            if missing:
                raise UsageError(
                    f"normalise has '{missing[0]}', which is none of {shown(list(parts))}; name two of these."
                )
            one, other = (truth[:, parts[name]] for name in by)
            scale: np.ndarray = np.linalg.norm(one - other, axis=1)
        elif by[0] in source.parameters and source.parameters[by[0]].dtype.kind in _NUMBERS:
            scale = source.parameters[by[0]].astype(np.float64)
        else:
            raise UsageError(
                f"normalise has '{by[0]}', which is no column of numbers of the data; name one, or two landmarks."
            )
        known = np.isfinite(truth).any(axis=1)
        if not (scale[known] > 0).all():
            row = int(np.flatnonzero(known)[(~(scale[known] > 0)).argmax()])
            raise UsageError(
                f"errors of '{source.paths[row]}' would be divided by {scale[row]:g}; normalise by what is above 0 in "
                "every image."
            )
        return scale

    def errors(
        self, output: np.ndarray, source: ImageSource, names: Sequence[str], truth: np.ndarray
    ) -> np.ndarray:
        """Return (N, P) how far each part of the output, (N, T), is off, NaN where that is not known."""
        off = difference(output, truth, periods(self.subject.angles, names))
        parts = self.parts(names).values()
        size = np.stack([np.sqrt(np.square(off[:, at]).sum(axis=1)) for at in parts], axis=1)
        found: np.ndarray = size / self._scales(source, names, truth)[:, None]
        return found

    def outcomes(self, source: ImageSource) -> list[str]:
        """Name "within" and each part."""
        return ["within", *self.parts(self.names(source))]

    def read(self, kept: np.ndarray, scale: str) -> dict[str, np.ndarray]:
        """Return the outputs, (N, T)."""
        return {"output": kept.reshape(len(kept), -1).astype(np.float32)}

    def located(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the outputs in the unit of the targets, (N, T)."""
        return columns["output"]

    def noted(self, source: ImageSource) -> dict[str, Any]:
        """Return what else is noted of the test set."""
        return {}

    def noted_errors(self, errors: np.ndarray, limits: np.ndarray) -> dict[str, Any]:
        """Return what else is noted of the test set's errors, (N, P), and their thresholds, (P,)."""
        return {}

    def judge(
        self, columns: Mapping[str, np.ndarray], source: ImageSource, facts: Mapping[str, Any] | None
    ) -> Judgement:
        """Compare errors with their thresholds; refuse one that all test images are beyond."""
        names = self.names(source)
        parts, truth, output = self.parts(names), self.truth(source, names), self.located(columns)
        errors, rows = self.errors(output, source, names, truth), self.explained.rows(list(parts))
        if facts is None:
            limits = thresholds(self.threshold, list(parts), rows, errors)
        else:
            limits = np.array([np.inf if one is None else one for one in facts["thresholds"]])
        times_over = np.nan_to_num(errors / limits, nan=-1.0)[:, rows]
        known = (times_over >= 0).any(axis=1)
        worst, score = rows[times_over.argmax(axis=1)], np.where(known, times_over.max(axis=1), 0)
        prediction = np.where(known, np.where(score > 1, self.outcome(worst, truth), 0), -1)
        if facts is None:
            self._check_errors(score, limits[rows], errors[:, rows])
        unknown = rows[self.likely(output[:, rows])] if self.guesses else rows[0]
        explained = np.where(known, worst, unknown) if self.explained.worst else np.zeros_like(worst)
        return Judgement(
            label=np.where(known, 0, -1),
            prediction=prediction.astype(np.int64),
            score=score.astype(np.float32),
            entropy=columns.get("entropy", np.zeros(len(known), np.float32)),
            explained=explained.astype(np.int64),
            values={"target": truth, "output": output, "off": errors},
            facts=self._facts(source, names, limits, errors, parts) if facts is None else {},
        )

    def outcome(self, worst: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return the number of the outcome, (N,), where the part `worst`, (N,), is off; `truth` is (N, T)."""
        return worst + 1

    def likely(self, output: np.ndarray) -> np.ndarray:
        """Return which of the outputs, (N, P), is likeliest the worst one where there are no targets, (N,)."""
        raise NotImplementedError(f"{type(self).__name__} explains no images without targets")

    def _facts(
        self,
        source: ImageSource,
        names: list[str],
        limits: np.ndarray,
        errors: np.ndarray,
        parts: Mapping[str, list[int]],
    ) -> dict[str, Any]:
        mean = [None if np.isnan(one).all() else float(np.nanmean(one)) for one in errors.T]
        return {
            "targets": names,
            "parts": list(parts),
            "thresholds": [float(one) if np.isfinite(one) else None for one in limits],
            "mean error": mean,
            **self.noted_errors(errors, limits),
            **self.noted(source),
        }

    def _check_errors(self, score: np.ndarray, limits: np.ndarray, errors: np.ndarray) -> None:
        if len(score) < _FEW or not ((score > 1).all() or (score <= 1).all()):
            return
        worst = np.nanmax(errors, axis=1)
        low, middle, high = np.nanpercentile(worst, (0, 50, 100))
        limit = (
            f"{limits.min():g}" if limits.min() == limits.max() else f"{limits.min():g} to {limits.max():g}"
        )
        raise HuddError(
            f"all {len(score):,} test images are {'beyond' if (score > 1).all() else 'within'} the threshold {limit}: "
            f"their errors run from {low:.3g} to {high:.3g} (median {middle:.3g}); give `threshold` in that unit, "
            "or as a share such as 90%."
        )

    # -- what is explained, and learned

    def explain(self, numbers: torch.Tensor) -> Target:
        """Explain the outputs of these parts, or of all that are judged."""
        parts = self._test_parts
        rows = self.explained.rows(list(parts))
        chosen = torch.zeros(len(parts), sum(map(len, parts.values())), dtype=torch.bool)
        for number, at in enumerate(parts.values()):
            if self.explained.worst:
                chosen[number, at] = True
            elif number in rows:
                chosen[0, at] = True  # all of them together go by number 0

        def multiples(output: torch.Tensor) -> torch.Tensor:
            mask = chosen[numbers.cpu()].to(output.device)
            return self.spread(mask, output).to(output.dtype).contiguous()

        from hudd.lrp.targets import times  # seconds, and results are read without it

        return times(multiples)

    @cached_property
    def _test_parts(self) -> dict[str, list[int]]:
        assert self.subject.test is not None  # nothing is explained without the data
        return self.parts(self.names(self.subject.test()))

    def spread(self, mask: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return which numbers of the output are explained, of its shape; `mask` is (n, T) bool, of the targets."""
        return mask.reshape(output.shape)

    def about(self) -> str:
        """Return what is explained, in words."""
        which = ", ".join(self.explained.globs)
        if self.explained.worst:
            return "the output that is farthest off" + ("" if which == "*" else f" of {which}")
        return "all outputs" if which == "*" else f"the outputs {which}"

    def training(self, options: Mapping[str, Any]) -> TrainingConfig:
        """Return how the DNN is retrained, by the mean squared difference where no loss is given."""
        from hudd.retraining import TrainingConfig  # seconds, and results are read without it

        loss = chosen_loss(options, self.losses)
        if isinstance(loss, str):
            loss = self.loss(loss) if loss in self.losses else OwnLoss(loss)
        return TrainingConfig(**{**options, "loss": loss})

    def loss(self, kind: str) -> Any:
        """Return the loss of that kind, a callable."""
        names = self.names(self.subject.test()) if self.subject.test is not None else []
        return NumbersLoss(kind, periods(self.subject.angles, names).tolist())

    def targets(self, source: ImageSource, labels: np.ndarray) -> np.ndarray:
        """Return (N, T) float32 targets, NaN where unknown."""
        names = self.names(self.subject.test() if self.subject.test is not None else source)
        return self.truth(source, names).astype(np.float32)

    def measure(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray:
        """Return (N, P) how far each part is off, NaN where not known or not judged."""
        off: np.ndarray = self._again(found, source, facts).values["off"]
        return off

    def right(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray:
        """Judge the outputs after retraining by the same thresholds."""
        return self._again(found, source, facts).correct

    def _again(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> Judgement:
        kept = self.keep(torch.from_numpy(found.output)).numpy()
        return self.judge(self.read(kept, found.scale), source, facts)

    def figures(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return the threshold and the mean errors of the parts that are farthest off."""
        limits = [one for one in facts["thresholds"] if one is not None]
        span = f"{limits[0]:.4g}" if len(set(limits)) == 1 else f"{min(limits):.4g} to {max(limits):.4g}"
        known = [(mean, name) for mean, name in zip(facts["mean error"], facts["parts"]) if mean is not None]
        most = ", ".join(f"{name} {mean:.3g}" for mean, name in sorted(known, reverse=True)[:4])
        mean = np.mean([mean for mean, _ in known])
        return {"threshold": span, "mean error": f"{mean:.3g} (largest: {most})"}
