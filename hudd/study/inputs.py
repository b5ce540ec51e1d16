"""What a study is made from: the DNN, the images, how they are shown to it, and fingerprints of all of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hudd.capture.loading import LoadedModel, load_model
from hudd.clustering.pairs import Source
from hudd.data import ImageSource, Transform
from hudd.data.decoding import Decoder, preferred_decoder
from hudd.errors import UsageError
from hudd.lrp import LRP
from hudd.parts import TASKS
from hudd.ranks import Ranks
from hudd.study.device import choose_device
from hudd.study.features import StudyFeatures
from hudd.study.fingerprint import digest_model, probe
from hudd.study.intake import open_sources
from hudd.study.linking import linked_from
from hudd.study.results import Results
from hudd.study.settings import Settings
from hudd.tasks import Task, TaskSubject, infer_task, make_task

_EXAMPLES = 8  # images that show what the outputs are


class Inputs:
    """Model and data of a study, each loaded when it is first asked for.

    Parameters
    ----------
    results : Results
        What the study has found so far: reference statistics are of images that were tested.

    Attributes
    ----------
    settings : Settings
    path : Path
        The study's directory.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.settings: Settings = results.settings
        self.path: Path = results.path
        self.linked: dict[str, Source] = {}  # as the first process has decided, by layer

    @cached_property
    def device(self) -> torch.device:
        """Where the DNN runs."""
        return choose_device(self.settings.device)

    def linked_from(self, layer: str) -> Source:
        """Return from what a layer's errors are linked, the same in every process once a step has begun."""
        return self.linked.get(layer) or linked_from(self.results, layer)

    @cached_property
    def model(self) -> LoadedModel:
        """The DNN, in eval mode, on its device."""
        settings = self.settings
        loaded = load_model(settings.model, settings.weights, **settings.loading)
        if self.device.type != "cpu":
            loaded.module.to(self.device)
        return loaded

    @cached_property
    def model_digest(self) -> str:
        """Fingerprint of the DNN's structure and weights."""
        return digest_model(self.model.module, self.settings.output)

    @cached_property
    def output_scale(self) -> str:
        """What the DNN's outputs are, see :meth:`hudd.tasks.Task.scale`; the same in every process."""
        return Ranks.current().lead(self.find_scale)

    def find_scale(self) -> str:
        """Find what the DNN's outputs are, in this process alone."""
        source = self.source("test")
        examples = source.load(np.arange(min(_EXAMPLES, len(source)))).to(self.device)
        return self.task.scale(self.model.module, examples)

    @property
    def transform(self) -> Callable[..., torch.Tensor] | None:
        """From pixels to the DNN's input: the settings', else the model's own."""
        own = self.model.transform
        return own if self.settings.transform is None else Transform.changed(own, self.settings.transform)

    @property
    def given_class_names(self) -> list[str] | None:
        """Names of the outputs in order: the settings', else the model's own; None where neither has any."""
        return list(self.settings.classes) if self.settings.classes is not None else self.model.class_names

    @property
    def task_name(self) -> str:
        """Name of the task, or its spec."""
        if self.settings.task is not None:
            return self.settings.task
        return infer_task(self.settings.targets, self.source("test"), self._count_outputs)

    def _count_outputs(self) -> int:
        """How many numbers the DNN has for the first test image; 0 where it cannot take one."""
        try:
            with torch.inference_mode():
                return int(self.model.module(self.source("test").load([0]).to(self.device)).numel())
        except Exception:  # the network's own code: what is wrong is said where it is checked
            return 0

    @cached_property
    def task(self) -> Task:
        """What labels and outputs mean."""
        settings, names = self.settings, self.given_class_names
        named_by = "`classes` gives" if settings.classes is not None else "the model's class_names are"
        subject = TaskSubject(
            class_names=names,
            targets=settings.targets,
            threshold=settings.threshold,
            explained=settings.explained,
            normalise=settings.normalise,
            angles=settings.angles,
            test=lambda: self.source("test"),
            named_by=named_by,
            stated=settings.task is not None,
        )
        return make_task(self.task_name, subject)

    @property
    def task_mark(self) -> list[Any]:
        """What tells this task from a plain classification, for fingerprints; nothing for that one."""
        own = TASKS.mark(self.task_name)
        return self.task.mark() + ([own] if own is not None else [])

    @cached_property
    def decoder(self) -> Decoder:
        """What decodes JPEG files: the settings', else what the study was made with, else the fastest there is."""
        if self.settings.decoder is not None:
            return self.settings.decoder
        if not self.results.file.path.exists():
            return preferred_decoder()
        with self.results.file.reading() as h5:
            return "simplejpeg" if h5.attrs.get("decoder") == "simplejpeg" else "pillow"

    @cached_property
    def sources(self) -> dict[str, ImageSource]:
        """The images of every split that the settings name."""
        return open_sources(
            self.settings, self.transform, self.given_class_names, self.results.reading, self.decoder
        )

    def source(self, split: str) -> ImageSource:
        """Return the images of "test", "judge", "train" or "improvement".

        Raises
        ------
        UsageError
            If the study has no such split.
        """
        if self.settings.data(split) is None:
            raise UsageError(f"'{self.path}' has no {split} set; give one with --{split}.")
        return self.sources[split]

    @cached_property
    def data_fingerprints(self) -> dict[str, str]:
        """Fingerprint of the data of every split."""
        return {split: source.fingerprint() for split, source in self.sources.items()}

    @cached_property
    def probes(self) -> dict[str, np.ndarray]:
        """What transform and DNN make of some images of every split, the same numbers in every process."""

        def read_probes() -> dict[str, np.ndarray]:
            module, device, known = self.model.module, self.device, self.results.probe
            return {
                split: probe(source, module, device, known(split)) for split, source in self.sources.items()
            }

        return Ranks.current().lead(read_probes)

    @cached_property
    def features(self) -> StudyFeatures:
        """What is clustered of an image."""
        return StudyFeatures(
            self.settings, self.model.module, self.device, self.source, self.results, self.task.explain
        )

    def lrp(self, layers: list[str] | None = None) -> LRP:
        """Return the relevance engine for the settings' rules, at the settings' layers or at those given."""
        return self.features.lrp(layers)
