"""The study: made, opened, taken through its steps."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import torch

from hudd import __version__
from hudd.capture.loading import LoadedModel, load_model
from hudd.data import ImageSource, Transform, open_source
from hudd.errors import UsageError
from hudd.lrp import LRP
from hudd.ranks import Ranks
from hudd.store import StudyFile, append_line, check_inside, drop, writer_lock
from hudd.store.files import sweep, write_error
from hudd.study.checks import check, check_parameters, check_training
from hudd.study.device import choose_device
from hudd.study.features import StudyFeatures
from hudd.study.fingerprint import digest_model, probe
from hudd.study.provenance import record
from hudd.study.results import Results
from hudd.study.settings import SPLITS, Settings
from hudd.study.versions import algorithm_of

T = TypeVar("T")
STEPS = ("test", "heatmaps", "distances", "cluster", "select", "retrain", "evaluate")

# What each step leaves in the file, and whose results fall with its own. "choice" is the choice of the layer.
_OUTPUTS = {
    "test": ("splits", "error", "class"),
    "heatmaps": ("layers",),
    "choice": ("clusters",),
    "select": ("selection",),
    "retrain": ("retraining",),
    "evaluate": ("evaluation",),
}
_SHARDS = {
    "test": ("test",),
    "heatmaps": ("heatmaps", "passing"),
    "distances": ("distances",),
    "select": ("nearest", "doubt"),
}
AFTER: dict[str, tuple[str, ...]] = {
    "test": ("layers", "heatmaps", "distances", "cluster", "choice", "select", "retrain", "evaluate"),
    "heatmaps": ("layers", "distances", "cluster", "choice", "select", "retrain", "evaluate"),
    "distances": ("cluster", "choice", "select", "retrain", "evaluate"),
    "cluster": ("choice", "select", "retrain", "evaluate"),
    "choice": ("select", "retrain", "evaluate"),
    "select": ("retrain",),
}


class Study(Results):
    """A study in its directory.

    Make one with :meth:`create`, come back to it with :meth:`open`. Every step first brings those before it
    up to date and does nothing where its own result is there and depends on nothing that has changed; a
    killed step goes on where it stopped.

    Examples
    --------
    >>> study = Study.create("signs", model="model.py:cnn", weights="cnn.pth", test="test/")  # doctest: +SKIP
    >>> study.cluster().clusters.label  # doctest: +SKIP
    """

    break_lock = False

    # -- making and opening

    @classmethod
    def create(cls, path: str | Path, **choices: Any) -> Study:
        """Make a study, after checking that model, weights and data fit each other and can be captured.

        Parameters
        ----------
        path : str or Path
            The directory; it must not hold a study yet.
        **choices
            Fields of :class:`Settings`; `model` and `test` are required.

        Raises
        ------
        UsageError
            If anything cannot be used; nothing is then left behind.
        """
        path = Path(path).absolute()
        if path.exists() and not path.is_dir():
            raise UsageError(f"'{path}' is a file; name a directory for the study.")
        for name in ("model", "test"):
            if not choices.get(name):
                raise UsageError(f"a study needs {name}; give it.")
        study = cls.__new__(cls)
        study.path, study.file, study.settings = path, StudyFile(path / "study.h5"), Settings.of(**choices)
        study.lead(study._make)
        return study

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """Open the study in the directory `path`.

        Raises
        ------
        UsageError
            If there is none, or it is of another version.
        """
        study = cls(path)
        study.ranks.wait()  # nobody changes it before everybody has read it
        return study

    def configure(self, **changes: Any) -> Study:
        """Change settings; the steps that depend on them run again when next asked for.

        Raises
        ------
        UsageError
            If a setting cannot be used; the old ones then stay.
        """
        old, new = self.settings, self.settings.changed(**changes)
        if new == old:
            return self
        self._use(new)

        def write() -> None:
            differs = {name for name in vars(new) if getattr(old, name) != getattr(new, name)}
            if differs & set(_CHECKED):
                check(self)
            if "training" in differs:
                check_training(self)
            if differs & {"angles", "units"}:
                check_parameters(self)
            with self.writing() as h5:
                h5.attrs.update(self._root_attributes())
            self.log("configured", **{k: v for k, v in changes.items() if k in differs})

        try:
            self.lead(write)
        except BaseException:
            self._use(old)
            raise
        return self

    def force(self, step: str) -> Study:
        """Forget the result of a step, and all that was made from it, so that it is taken again.

        Parameters
        ----------
        step : str
            One of :data:`STEPS`.

        Raises
        ------
        UsageError
            If there is no such step.
        """
        if step not in STEPS:
            raise UsageError(f"step '{step}' is unknown; choose one of: {', '.join(STEPS)}.")
        gone = (step, *AFTER.get(step, ()))

        def forget() -> None:
            with self.writing() as h5:
                self.forget(h5, *gone)
            for kind in (kind for name in gone for kind in _SHARDS.get(name, ())):
                shutil.rmtree(self.path / "shards" / kind, ignore_errors=True)
            self.log("forgotten", steps=gone)

        self.lead(forget)
        return self

    # -- the steps

    def test(self) -> Study:
        """Run the DNN over every split and find its errors on the test set."""
        return self._bring("test")

    def heatmaps(self) -> Study:
        """Compute the relevance of every error at every layer."""
        return self._bring("heatmaps")

    def distances(self) -> Study:
        """Take the pairwise distances of the errors' heatmaps, layer by layer."""
        return self._bring("distances")

    def cluster(self) -> Study:
        """Cluster the errors at every layer and choose the layer whose clusters are kept."""
        return self._bring("cluster")

    def select(self) -> Study:
        """Select the improvement images closest to the clusters."""
        return self._bring("select")

    def retrain(self) -> Study:
        """Retrain the DNN on the training set and the labelled unsafe set, and test it again."""
        return self._bring("retrain")

    def evaluate(self) -> Study:
        """Measure what the clusters have in common: parameter variance, purity."""
        return self._bring("evaluate")

    def run(self) -> Study:
        """Take every step that the data allow, see :meth:`possible_steps`."""
        for step in self.possible_steps():
            getattr(self, step)()
        return self

    def possible_steps(self) -> Iterator[str]:
        """Yield the steps to take, one after the other, as far as data and labels allow."""
        yield from ("test", "heatmaps", "distances", "cluster", "evaluate")
        if self.settings.improvement is None:
            return
        yield "select"
        if (
            self.settings.train is not None
            and len(self.selection)
            and (self.labels[self.selection.image] >= 0).all()
        ):
            yield "retrain"

    def _bring(self, step: str) -> Study:
        with ExitStack() as stack:
            self.lead(lambda: stack.enter_context(self._writer()))
            for name in (*_BEFORE[step], step):
                import_module(f"hudd.study.steps.{name}").run(self, checksums=name == step)
        return self

    # -- what the steps work with

    @property
    def ranks(self) -> Ranks:
        """The processes that work on this study together; this one alone unless torchrun started it."""
        return Ranks.current()

    def lead(self, work: Callable[[], T]) -> T:
        """Let the first process do something, see :meth:`hudd.ranks.Ranks.lead`."""
        return self.ranks.lead(work)

    @cached_property
    def device(self) -> torch.device:
        """Where the DNN runs."""
        return choose_device(self.settings.device)

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

    @property
    def transform(self) -> Callable[..., torch.Tensor] | None:
        """From pixels to the DNN's input: the settings', else the model's own."""
        if self.settings.transform is not None:
            return Transform.of(self.settings.transform)
        return self.model.transform

    @cached_property
    def _sources(self) -> dict[str, ImageSource]:
        names, sources = self.model.class_names, {}
        for split in ("train", "test", "improvement"):
            spec = self.settings.data(split)
            if spec is not None:
                sources[split] = open_source(spec, transform=self.transform, class_names=names)
                names = names or sources[split].class_names
        return sources

    @cached_property
    def data_fingerprints(self) -> dict[str, str]:
        """Fingerprint of the data of every split."""
        return {split: source.fingerprint() for split, source in self._sources.items()}

    @cached_property
    def probes(self) -> dict[str, np.ndarray]:
        """What transform and DNN make of some images of every split, the same numbers in every process."""
        return self.lead(lambda: {split: probe(self, split) for split in self._sources})

    def source(self, split: str) -> ImageSource:
        """Return the images of "test", "train" or "improvement".

        Raises
        ------
        UsageError
            If the study has no such split.
        """
        if self.settings.data(split) is None:
            raise UsageError(f"'{self.path}' has no {split} set; give one with --{split}.")
        return self._sources[split]

    @cached_property
    def features(self) -> StudyFeatures:
        """What is clustered of an image."""
        return StudyFeatures(self)

    def lrp(self, layers: list[str] | None = None) -> LRP:
        """Return the relevance engine for the settings' rules, at the settings' layers or at those given."""
        wanted = self.settings.layers if layers is None else layers
        return LRP(
            self.model.module,
            rules=self.settings.effective_rules,
            layers=None if wanted is None else list(wanted),
            pool=self.settings.effective_pool,
            precision=self.settings.dtype,
        )

    def spatial_heatmaps(self, rows: np.ndarray, layer: str) -> np.ndarray:
        """Return (n, h, w) float32 relevance summed over channels, of the error rows `rows` at `layer`.

        Where the layer's input has no space (after flattening), or other features are clustered, it is the
        relevance of the image itself.
        """
        rows = np.asarray(rows, np.int64)
        shape, explained = self.heatmap_shape(layer), self.features.kind == "relevance"
        if explained and len(shape) == 3 and self.has(f"layers/{layer}/relevance"):
            unique, back = np.unique(rows, return_inverse=True)
            channels = self.channel_axis(layer)
            return np.asarray(self.heatmaps_of(layer)[unique].sum(axis=channels, dtype=np.float32)[back])
        split, errors = self.split("test"), self.errors[rows]
        wanted = [layer, "input"] if explained else ["input"]
        lrp = LRP(self.model.module, rules=self.settings.effective_rules, layers=wanted)
        parts = []
        for start in range(0, len(rows), self.settings.batch_size):
            part = errors[start : start + self.settings.batch_size]
            images, target = self.source("test").load(part), torch.from_numpy(split.prediction[part])
            relevance = lrp.attribute(images.to(self.device), target=target.to(self.device))
            heatmap = relevance.layers.get(layer)
            if heatmap is None or heatmap.ndim != 4:
                assert relevance.input is not None  # it was asked for
                spatial = relevance.input.sum(dim=1)
            else:
                spatial = heatmap.sum(dim=lrp.channels[layer])
            parts.append(spatial.float().cpu().numpy())
        return np.concatenate(parts)

    # -- what the steps write with

    def is_done(self, key: str, fingerprint: str) -> bool:
        """Say whether the result `key` is there and was made from the same things."""
        with self.file.reading() as h5:
            step = h5.get(f"steps/{key}")
            return step is not None and step.attrs.get("fingerprint") == fingerprint

    @contextmanager
    def committing(self, key: str, fingerprint: str, started: float) -> Iterator[h5py.File]:
        """Open the file to put the result `key` in, whole or not at all, with a note of how it was made."""
        seconds = time.perf_counter() - started
        with self.file.writing() as h5:
            yield h5
            made = record(fingerprint, seconds, self.device) | {"algorithm_version": algorithm_of(key)}
            h5.require_group(f"steps/{key}").attrs.update(made)
        self.log("finished", step=key, seconds=round(seconds, 3))

    def forget(self, h5: h5py.File, *steps: str) -> None:
        """Take results, and the notes of how they were made, out of the open file."""
        drop(h5, [name for step in steps for name in _OUTPUTS.get(step, ())])
        drop(h5, [f"steps/{step}" for step in steps])

    def shards(self, kind: str, fingerprint: str) -> Path:
        """Return the directory of the shards of a kind that were made from the same things."""
        return self.path / "shards" / kind / fingerprint[:16]

    def keep_shards(self, kept: Path) -> None:
        """Remove the shards of the same kind that earlier settings made."""
        for directory in kept.parent.iterdir() if kept.parent.is_dir() else ():
            if directory != kept:
                shutil.rmtree(directory, ignore_errors=True)

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to ``log.jsonl``."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields})
        try:
            append_line(self.path / "log.jsonl", line)
        except OSError as error:
            raise write_error(self.path / "log.jsonl", error) from error

    @contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Open the file, as the only writer, to change it whole or not at all."""
        with self._writer(), self.file.writing() as h5:
            yield h5

    @contextmanager
    def _writer(self) -> Iterator[None]:
        check_inside(self.path)
        with writer_lock(self.path / ".lock", break_stale=self.break_lock):
            sweep(self.path)
            yield
            self.file.settle()

    def _make(self) -> None:
        """Check everything and write the study's empty file."""
        self.file.check_absent()
        check(self)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error
        with self._writer():
            self.file.create(self._root_attributes())
            self.log("created", settings=json.loads(self.settings.to_json()))

    def _use(self, settings: Settings) -> None:
        self.settings = settings
        for name in _CACHED:
            self.__dict__.pop(name, None)

    def _root_attributes(self) -> dict[str, Any]:
        rules = self.settings.effective_rules
        return {
            "hudd_version": __version__,
            "model": self.settings.model,
            "weights_sha256": self.model.weights_sha256,
            "weights_told": self.model.told,
            "model_sha256": self.model_digest,
            "rules": rules if isinstance(rules, str) else json.dumps(rules, sort_keys=True),
            "preset": self.settings.preset,
            "seed": self.settings.seed,
            "settings": self.settings.to_json(),
        }


_CHECKED = (
    *("model", "weights", "trust_pickle", "weights_key", "output", *SPLITS, "transform", "device"),
    *("rules", "layers", "layer", "pool", "preset", "features", "backbone", "reduction", "clusterer"),
)
_CACHED = ("device", "model", "model_digest", "_sources", "data_fingerprints", "probes", "features")
_BEFORE: dict[str, tuple[str, ...]] = {
    "test": (),
    "heatmaps": ("test",),
    "distances": ("test", "heatmaps"),
    "cluster": ("test", "heatmaps", "distances"),
    "select": ("test", "heatmaps", "distances", "cluster"),
    "retrain": ("test", "heatmaps", "distances", "cluster", "select"),
    "evaluate": ("test", "heatmaps", "distances", "cluster"),
}
