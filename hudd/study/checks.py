"""What is refused before any work: data, model and labels that do not fit each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy

import torch

from hudd.attributes import named_attributes
from hudd.clustering import Pipeline
from hudd.data import Transform
from hudd.errors import HuddError, UsageError
from hudd.parts import TASKS
from hudd.retraining import TrainingConfig
from hudd.settings import SPLITS
from hudd.study.inputs import Inputs
from hudd.summary.columns import TURN
from hudd.summary.requirements import read_requirements
from hudd.summary.severity import CLASSES, check_levels, closest


def check(inputs: Inputs) -> None:
    """Make sure that the study can be taken through its steps.

    Raises
    ------
    UsageError
        If data or weights cannot be read, an image cannot be opened, labels go beyond the model's outputs, the
        layer is none of the model's, or the training's options are not allowed; :class:`UnsupportedOperation` if
        the model cannot be captured.
    """
    check_training(inputs)
    source = inputs.source("test")
    if not len(source):
        raise UsageError(f"the test set '{inputs.settings.test}' holds no image; name another one.")
    for split in SPLITS:
        if inputs.settings.data(split) is not None:
            inputs.source(split).check()
    example = source.load([0]).to(inputs.device)
    output = _output(inputs, example)
    with TASKS.attributing_errors(inputs.task_name):
        inputs.task.check(
            output, {split: inputs.sources[split] for split in SPLITS if split in inputs.sources}
        )
        inputs.find_scale()  # the task may refuse outputs of another kind
    check_strategies(inputs)
    check_parameters(inputs)
    check_severity(inputs)
    inputs.lrp().prepare(example)
    Pipeline(inputs.settings.choices.reduction, clusterer=inputs.settings.choices.clusterer)
    check_layer(inputs)


def check_training(inputs: Inputs) -> None:
    """Refuse options that no training has, or that are not for this model."""
    options = inputs.settings.training
    unknown = sorted(set(options) - set(TrainingConfig.__dataclass_fields__))
    if unknown:
        allowed = ", ".join(TrainingConfig.__dataclass_fields__)
        raise UsageError(f"training option '{unknown[0]}' is unknown; choose among: {allowed}.")
    if inputs.settings.trusted and not inputs.task.has_classes:
        raise UsageError(
            f"trusted is {inputs.settings.trusted}, but a task of {inputs.task_name} predicts no classes that could be "
            "labels; leave it out."
        )
    config = inputs.task.training(options)
    config.loss_function()
    if config.freeze:
        config.frozen(inputs.model.module)


def check_layer(inputs: Inputs, layers: Sequence[str] | None = None) -> None:
    """Refuse a layer to use that is none of `layers`, by default of those that features will come of."""
    if layers is None:
        example = inputs.features.source("test").load([0]).to(inputs.device)
        layers = inputs.features.extractor().prepare(example)
    wanted = inputs.settings.layer
    if wanted is not None and wanted not in layers:
        others = "" if inputs.settings.kind.layered else "; preset 'hudd' clusters layer by layer"
        raise UsageError(
            f"layer '{wanted}' is not in this study; give `layer='auto'`, or one of: {', '.join(layers)}{others}."
        )


def check_parameters(inputs: Inputs) -> None:
    """Refuse angles and units of what the test set does not have."""
    for option, names in (("angles", inputs.settings.angles), ("units", inputs.settings.units)):
        if not names:
            continue
        known = inputs.source("test").parameters
        allowed = [name for name in known if option == "units" or known[name].dtype.kind in "biuf"]
        for name in names:
            if name not in allowed:
                there = f"choose among: {', '.join(allowed)}" if allowed else "there is none, so leave it out"
                kind = "numeric parameter" if option == "angles" else "parameter"
                raise UsageError(f"{option} has '{name}', which is no {kind} of the test set; {there}.")


def check_severity(inputs: Inputs) -> None:
    """Refuse severity levels that cannot be read, or ask about what no image of the test set has."""
    if inputs.settings.severity is None:
        return
    wanted = read_requirements(inputs.settings.severity)
    check_levels(wanted)
    known = {
        *inputs.source("test").parameters,
        *CLASSES[not inputs.task.has_classes :],
        *named_attributes(inputs.settings.attributes),
        TURN.name,
    }
    for one in wanted.severity:
        for bound in one.region.bounds:
            if bound.parameter not in known:
                raise UsageError(
                    f"severity '{one.level}' asks about '{bound.parameter}', which the test set does not have; known "
                    f"are: {closest(bound.parameter, known)}."
                )


_BY_ENTROPY = ("entropy", "entropy-kmeans", "class-balanced-entropy")
_BY_PROBABILITIES = ("margin", "badge")


def check_strategies(inputs: Inputs) -> None:
    """Refuse to select by probabilities, or their entropy, where the task has none."""
    task = inputs.task
    lacking = [] if task.has_entropy else [*_BY_ENTROPY]
    lacking += [] if "margin" in task.columns else [*_BY_PROBABILITIES]
    for name in (inputs.settings.effective_strategy, *inputs.settings.modes):
        if name in lacking:
            needed = "probabilities" if name in _BY_ENTROPY else "the probabilities of classes"
            raise UsageError(
                f"strategy '{name}' needs {needed}, and a task of {inputs.task_name} has none; choose hudd, by-cause, "
                "hybrid, core-set, typiclust or random, or give a function of your own as package.module:function."
            )


def _output(inputs: Inputs, example: torch.Tensor) -> torch.Tensor:
    """Return what the model makes of an image."""
    shape = "x".join(map(str, example.shape[1:]))
    try:
        with torch.inference_mode():
            output: torch.Tensor = inputs.model.module(example)
    except HuddError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if re.search(r"Half|BFloat16|[Dd]ouble|dtype|scalar type", reason):
            raise UsageError(
                f"the model cannot take an image of float32 ({reason}); let its forward compute in float32, without "
                ".half(), .to(dtype) or autocast, and let the factory return model.float()."
            ) from error
        remedy = _other_channels(inputs, example) or (
            "give the transform that it was trained with, such as `resize`"
        )
        raise UsageError(f"the model cannot take an image of {shape} ({reason}); {remedy}.") from error
    return output


def _other_channels(inputs: Inputs, example: torch.Tensor) -> str:
    """Return the options by which the model takes the image, where it wants grey for colour or the other way round."""
    grey = example.shape[1] == 3
    wanted = {"grayscale": grey} | (inputs.settings.transform or {})
    options = f"`grayscale={grey}`"
    source = copy(inputs.source("test"))
    try:
        transform = Transform.changed(inputs.model.transform, wanted | {"grayscale": grey})
    except UsageError:  # mean or std of three channels
        values = {"mean": 0.5, "std": 0.5}
        options += " `mean=NUMBER` `std=NUMBER`"
        transform = Transform.changed(inputs.model.transform, wanted | {"grayscale": grey} | values)
    source.transform = transform
    try:
        with torch.inference_mode():
            inputs.model.module(source.load([0]).to(inputs.device))
    except Exception:  # the network's own code: then it is not the channels
        return ""
    return f"it takes {'grey' if grey else 'colour'} images: give {options}"
