"""Run the DNN over the splits; its wrong predictions on the test set are the errors to explain."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import torch

from hudd.arithmetic import contracting
from hudd.attributes import Attribute, attributes_of, named_attributes
from hudd.attributes.sample import WHOLE, choose
from hudd.data import ImageSource
from hudd.data.decoding import decoder_version
from hudd.data.identifiers import Identifiers
from hudd.data.loader import loaded_ahead
from hudd.data.prints import Loaded, load_with_prints
from hudd.errors import HuddError, UsageError
from hudd.parts import ATTRIBUTES, TASKS
from hudd.progress import progress
from hudd.settings import SPLITS
from hudd.store import ShardSet, drop, read_text, write_dataset
from hudd.study.fingerprint import digest, digest_picture, stable_repr
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.reading import reading_of
from hudd.study.sharing import compare_sets
from hudd.study.step import Step
from hudd.tasks import Judgement

_ROWS_PER_SHARD = 1024
# From so many images on what is only told of them stays in the shards: the study's file is copied at every change.
_MANY = 1 << 18
_ROWS_OF_MANY = 16_384
_PRINTS = ("pixels", "thumbnail")
_AT_ONCE = 32  # images that are measured at once


def fingerprint(inputs: Inputs, split: str) -> str:
    """Everything that the predictions on `split` depend on."""
    names = inputs.source(split).class_names
    transform = stable_repr(inputs.transform)
    made = inputs.probes[split]
    # Scores of what is no logit are not those of a softmax.
    scale: list[str] = [] if inputs.output_scale == "logits" else [inputs.output_scale]
    if inputs.settings.arithmetic != "float32":
        scale.append(inputs.settings.arithmetic)
    how = [
        *scale,
        *(f"{name} {ATTRIBUTES.mark(name)}" for name in inputs.settings.attributes),
        *inputs.task_mark,
        *([f"decoder {decoder}"] if (decoder := inputs.source(split).decoder) != "pillow" else []),
    ]
    return digest("test", inputs.model_digest, transform, made, names, inputs.data_fingerprints[split], *how)


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Predict every split that the study has.

    Raises
    ------
    UsageError
        If the DNN would be tested on the images that it is retrained on, or labels contradict each other.
    """
    journal.lead(lambda: _check_apart(inputs))
    for split in SPLITS:
        if inputs.settings.data(split) is not None:
            _predict(inputs, journal, split, checksums)
    journal.lead(lambda: compare_sets(inputs, journal))


def _check_apart(inputs: Inputs) -> None:
    """Refuse a test or judge set that is another set: images memorised, or that chose, would count as progress."""
    data = inputs.data_fingerprints
    for split in ("train", "improvement"):
        for tested in ("test", "judge"):
            if tested in data and data.get(split) == data[tested]:
                raise UsageError(
                    f"`{tested}` and `{split}` are the same images, and a DNN is not tested on what it is retrained "
                    "on; give others for one of them."
                )
    if data.get("judge") == data["test"]:
        raise UsageError(
            "`judge` and `test` are the same images, and the errors of the test set choose the clusters; give others, "
            "or `judge_share`, which takes some from the test set."
        )


def _predict(inputs: Inputs, journal: Journal, split: str, checksums: bool) -> None:
    mark, started = fingerprint(inputs, split), time.perf_counter()
    done = journal.is_done(f"test/{split}", mark)
    if done and not _is_in_shards(journal, split):
        return
    source = inputs.source(split)
    known = named_attributes(inputs.settings.attributes)
    in_passing = len(source) <= WHOLE or (done and _is_in_shards(journal, split, "attributes"))
    columns = (*inputs.task.columns, *_PRINTS, *(["attributes"] if in_passing else []))
    directory = journal.shards(f"test/{split}", digest(mark, columns, list(known)))
    algorithm = journal.algorithm(f"test/{split}", mark)
    many = len(source) >= _MANY
    size = _ROWS_OF_MANY if many else _ROWS_PER_SHARD
    shards = ShardSet(directory, len(source), size, mark, algorithm=algorithm)
    missing = journal.lead(lambda: shards.missing(checksums=checksums or not done))
    journal.ranks.each(
        lambda: _outputs(inputs, source, split, shards, journal.ranks.mine(missing), in_passing)
    )
    if done:
        return

    def commit() -> None:
        found = shards.columns([name for name in columns if not many or name not in _PRINTS])
        prints = {
            name: shards.virtual_layout(name, journal.path) if many else found[name] for name in _PRINTS
        }
        facts = None if split == "test" else inputs.results.facts()
        with TASKS.attributing_errors(inputs.task_name):
            judged = inputs.task.judge(found, source, facts)
        of_answer = {one: found[one.name] for one in inputs.task.attributes}
        if in_passing:
            chosen, measured = None, found["attributes"]
        else:
            errors = np.flatnonzero(~judged.correct) if split == "test" else np.empty(0, np.int64)
            chosen = choose(Identifiers.encode(source.paths), errors)
            measured = _measured(inputs, source, split, np.flatnonzero(chosen))
        with journal.committing(f"test/{split}", mark, started) as h5:
            journal.forget_after(h5, f"test/{split}")
            _write(h5, split, source, inputs.task.parameters(source), prints, judged)
            _write_attributes(h5[f"splits/{split}"], dict(zip(known.values(), measured.T)), chosen)
            _write_attributes(h5[f"splits/{split}"], of_answer, None)
            if split == "test":
                _write_errors(h5, judged, inputs.task.outcomes(source))
            h5.attrs.update(outputs=inputs.output_scale, task=inputs.task_name)
            reading, about = reading_of(inputs, split), "how images and labels were read, JSON"
            write_dataset(h5[f"splits/{split}"], "reading", reading, dims=(), description=about)
            h5[f"splits/{split}"].attrs.update(
                fingerprint=inputs.data_fingerprints[split],
                probe=inputs.probes[split],
                decoder=decoder_version(source.decoder),
            )
            if split == "improvement" and "labels" in h5:
                _find_labelled(h5["labels"], source)
            del found, judged, of_answer, measured  # the file is held in memory until it is written
        if many:
            journal.keep_shards(shards.directory)
        else:
            shutil.rmtree(shards.directory.parent, ignore_errors=True)

    journal.lead(commit)


def _outputs(
    inputs: Inputs,
    source: ImageSource,
    split: str,
    shards: ShardSet,
    ranges: Sequence[tuple[int, int]],
    measuring: bool,
) -> None:
    """Run the DNN over some ranges of images, decoded ahead, and keep what it says of each."""
    size = inputs.settings.batch_size
    ends = {stop: start for start, stop in ranges}
    parts = (np.arange(at, min(at + size, stop)) for start, stop in ranges for at in range(start, stop, size))
    outputs: list[np.ndarray] = []
    kept: list[dict[str, np.ndarray]] = []
    measure = _measurer(inputs, source)

    def load(rows: np.ndarray) -> tuple[Loaded, dict[str, np.ndarray]]:
        encoded = source.read_bytes(rows)
        loaded = load_with_prints(source, rows, encoded)
        found = {"pixels": loaded.prints.pixels, "thumbnail": loaded.prints.thumbnail}
        return loaded, found | ({"attributes": measure(rows, encoded, loaded.decoded)} if measuring else {})

    with (
        progress(f"{split} set", sum(stop - start for start, stop in ranges)) as advance,
        torch.inference_mode(),
        contracting(inputs.settings.arithmetic),
        shards.written_behind() as writing,
    ):
        for rows, (loaded, found) in loaded_ahead(load, parts, inputs.settings.workers):
            kept.append(found)
            images = source.prepare(rows, loaded.decoded) if loaded.images is None else loaded.images
            output = inputs.model.module(images.to(inputs.device))
            if not torch.isfinite(output).all():
                bad = ~torch.isfinite(output).flatten(1).all(dim=1)
                path = source.paths[rows[int(bad.nonzero()[0])]]
                raise HuddError(
                    f"the model's output for '{path}' is not finite; check its weights and the input's scale."
                )
            outputs.append(inputs.task.keep(output).cpu().numpy())
            end = int(rows[-1]) + 1
            if end in ends:
                columns = inputs.task.read(np.concatenate(outputs), inputs.output_scale)
                own = {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}
                for name, room in writing.begin(ends[end], columns | own).items():
                    room[...] = columns[name] if name in columns else own[name]
                writing.end()
                outputs, kept = [], []
            advance(len(rows))


def _measurer(
    inputs: Inputs, source: ImageSource
) -> Callable[[np.ndarray, Sequence[bytes | None], Sequence[np.ndarray]], np.ndarray]:
    """Return what measures images by their rows, bytes and pixels: (n, attributes) float32."""
    measure = attributes_of(inputs.settings.attributes)

    def measured(
        rows: np.ndarray, encoded: Sequence[bytes | None], decoded: Sequence[np.ndarray]
    ) -> np.ndarray:
        files = [source.file(int(row)) for row in rows]
        return np.stack(list(measure(decoded, files, encoded).values()), axis=1)

    return measured


def _measured(inputs: Inputs, source: ImageSource, split: str, chosen: np.ndarray) -> np.ndarray:
    """Measure the images of some rows, decoded once more: (n, attributes) float32."""
    measure = _measurer(inputs, source)

    def load(rows: np.ndarray) -> np.ndarray:
        encoded = source.read_bytes(rows)
        return measure(rows, encoded, source.decode_bytes(rows, encoded))

    parts = np.split(chosen, range(_AT_ONCE, len(chosen), _AT_ONCE))
    found = []
    with progress(f"attributes of the {split} set", len(chosen)) as advance:
        for rows, numbers in loaded_ahead(load, parts, inputs.settings.workers):
            found.append(numbers)
            advance(len(rows))
    return np.concatenate(found)


def _is_in_shards(journal: Journal, split: str, name: str = "pixels") -> bool:
    """Say whether the study's file shows what is in shards, which may have been lost."""
    with journal.file.reading() as h5:
        found = h5.get(f"splits/{split}/{name}")  # an older study has none
        if isinstance(found, h5py.Group):
            return any(one.is_virtual for one in found.values())
        return found is not None and bool(found.is_virtual)


def _write(
    h5: h5py.File,
    split: str,
    source: ImageSource,
    parameters: Mapping[str, np.ndarray],
    prints: Mapping[str, Any],
    judged: Judgement,
) -> None:
    drop(h5, [f"splits/{split}"])
    group = h5.create_group(f"splits/{split}")
    one, many = ("path",), len(source) >= _MANY
    about = "identifier of the image"
    write_dataset(group, "path", source.paths, dims=one, scale=True, description=about, compress=many)
    about = "number of the class, or outcome, that is right; -1 unknown"
    write_dataset(group, "label", judged.label, dims=one, description=about, compress=many)
    about = "number of the class that the DNN predicts, or of the outcome"
    write_dataset(group, "prediction", judged.prediction, dims=one, description=about, compress=many)
    write_dataset(
        group, "correct", judged.correct, dims=one, description="prediction equals label", compress=many
    )
    about = "probability of the prediction, or how grave an error is"
    write_dataset(group, "score", judged.score, dims=one, description=about, compress=many)
    about = "entropy of the probabilities; 0 where there are none"
    write_dataset(group, "entropy", judged.entropy, dims=one, units="nat", description=about, compress=many)
    if judged.explained is not None:
        about = "number of what is explained of the image, as the task counts"
        write_dataset(group, "explained", judged.explained, dims=one, description=about, compress=many)
    if judged.facts:
        group.attrs["facts"] = json.dumps(judged.facts, sort_keys=True)
    about = "128 bits of the BLAKE2b hash of the decoded pixels"
    write_dataset(group, "pixels", prints["pixels"], dims=("path", "half"), description=about)
    about = "mean grey levels of 8 rows and 9 columns of fields"
    write_dataset(group, "thumbnail", prints["thumbnail"], dims=("path", "row", "column"), description=about)
    for name, values in judged.values.items():
        dims = ("path", *(f"{name}_{axis}" for axis in range(1, values.ndim)))
        write_dataset(
            group, f"values/{name}", values, dims=dims, description=f"{name} of the image, as the task has it"
        )
    for name, values in parameters.items():
        description = f"parameter '{name}' of the image"
        write_dataset(
            group, f"parameters/{name.replace('/', '_')}", values, dims=one, description=description
        )


def _write_errors(h5: h5py.File, judged: Judgement, names: list[str]) -> None:
    error = np.flatnonzero(~judged.correct)
    about = "row of the test split that the DNN gets wrong; the row order of everything about errors"
    write_dataset(h5, "error", error, dims=("error",), scale=True, description=about)
    about = "name of the class, or outcome, by its number"
    write_dataset(h5, "class", names, dims=("class",), scale=True, description=about)


def _write_attributes(
    group: h5py.Group, found: Mapping[Attribute, np.ndarray], chosen: np.ndarray | None
) -> None:
    """Write what was measured of all images, or of those chosen, as far as any of them has it."""
    for attribute, measured in found.items():
        values = measured
        if chosen is not None:
            values = np.full(len(chosen), np.nan, np.float32)
            values[chosen > 0] = measured
        if np.isfinite(measured).any():
            write_dataset(
                group,
                f"attributes/{attribute.name}",
                values,
                dims=("path",),
                units=attribute.unit or "1",
                description=attribute.description,
                compress=chosen is not None or len(values) >= _MANY,
            )
    if chosen is not None:
        about = "0: attributes of the image were not measured; 1: measured as one of the errors; 2: drawn from all"
        write_dataset(group, "measured", chosen, dims=("path",), description=about, compress=True)


def _find_labelled(labels: h5py.Group, source: ImageSource) -> None:
    """Find the images that were labelled after the fact among these: those of the same name and the same pixels."""
    if "content" not in labels:
        return
    row_of = {path: row for row, path in enumerate(source.paths)}
    rows = [row_of.get(path, -1) for path in read_text(labels["path"])]
    known = read_text(labels["content"])
    found = [row if row >= 0 and digest_picture(source, row) == own else -1 for row, own in zip(rows, known)]
    labels["image"][...] = np.array(found, np.int64)


def fingerprints(inputs: Inputs, journal: Journal) -> dict[str, str]:
    """Everything that the predictions on each split depend on, by the key of the result."""
    return {f"test/{split}": fingerprint(inputs, split) for split in inputs.sources}


STEP = Step(
    name="test",
    outputs={"test": ("splits", "error", "class")},
    shards=("test",),
    run=run,
    fingerprint=fingerprints,
)
