"""Relevance of every error at every layer, or other features, streamed into shards."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import h5py
import numpy as np
import torch

from hudd.arithmetic import contracting
from hudd.data.loader import loaded_ahead
from hudd.errors import HuddError
from hudd.features import Extractor
from hudd.lrp import LRP, rule_marks
from hudd.lrp.streaming import streamed, transfer_to
from hudd.progress import progress
from hudd.store import ShardSet, Stored, drop, write_dataset
from hudd.study.estimate import estimate_step, seconds_of
from hudd.study.fingerprint import digest
from hudd.study.inputs import Inputs
from hudd.study.journal import Journal
from hudd.study.step import Step
from hudd.study.steps import test

_CONSERVATION, _CUMULATIVE = "conservation of ", "cumulative of "
_TOGETHER = 1 << 30  # bytes of heatmaps that are made at a time where they are not kept


def fingerprint(inputs: Inputs) -> str:
    """Everything that the heatmaps depend on."""
    settings = inputs.settings
    layers = None if settings.layers is None else list(settings.layers)
    how = [settings.effective_rules, settings.effective_pool, settings.dtype, layers]
    if mark := inputs.features.mark():
        how.append(mark)
    if marks := rule_marks(settings.effective_rules):
        how.append(marks)
    if settings.bias != "absorb":
        how.append(settings.bias)
    return digest("heatmaps", test.fingerprint(inputs, "test"), how)


def run(inputs: Inputs, journal: Journal, *, checksums: bool = False) -> None:
    """Find out what heatmaps there are, and keep those that the settings say.

    Parameters
    ----------
    inputs : Inputs
        DNN, data and settings.
    journal : Journal
        Where results are.
    checksums : bool
        Read every shard and compute the damaged ones again, also where the step is done.

    Raises
    ------
    HuddError
        If the DNN makes no error, or the disk is too small.
    """
    mark, started = fingerprint(inputs), time.perf_counter()
    errors = inputs.results.errors
    if not len(errors):
        count = len(inputs.results.split("test").label)
        raise HuddError(
            f"the DNN makes no error on the {count} images of the test set, so there is nothing to explain; "
            "test it on harder images."
        )
    extractor = None
    if not journal.is_done("layers", mark):
        extractor, target = inputs.features.extractor(), inputs.results.explained("test")[errors[:1]]
        found = _explained(inputs, extractor, inputs.features.source("test").load(errors[:1]), target)
        head, channels = getattr(extractor, "head", ""), _channels(extractor)
        journal.lead(lambda: _describe(inputs, journal, mark, started, found, channels, head))
    keep(inputs, journal, checksums=checksums, extractor=extractor)


def keep(
    inputs: Inputs, journal: Journal, *, checksums: bool = False, extractor: Extractor | None = None
) -> None:
    """Bring the heatmaps that are stored in line with ``--store``: all, the chosen layer's, or none.

    Parameters
    ----------
    inputs : Inputs
        DNN, data and settings.
    journal : Journal
        Where results are.
    checksums : bool
        As for :func:`run`.
    extractor : Extractor, optional
        One for every layer, where there is one already.
    """
    layers, started = _wanted(inputs), time.perf_counter()
    shards = _shards(inputs, journal, "heatmaps", layers)
    done = journal.is_done("heatmaps", shards.fingerprint)
    damaged = journal.lead(lambda: shards.missing(checksums=checksums)) if done and layers else []
    if done and not damaged:
        return
    if layers:
        _compute(inputs, journal, shards, layers, extractor if layers == inputs.results.layers else None)
    if not done:  # else a damaged shard was fixed: the same numbers
        journal.lead(lambda: _show(inputs, journal, shards, layers, started))


@contextmanager
def at(inputs: Inputs, journal: Journal, layers: list[str]) -> Iterator[dict[str, Stored]]:
    """Give the heatmaps of some layers while the body runs: those that are kept, or else made for the purpose."""
    if set(layers) <= set(_wanted(inputs)):
        keep(inputs, journal, checksums=True)
        yield {layer: inputs.results.heatmaps_of(layer) for layer in layers}
        return
    shards = _shards(inputs, journal, "passing", layers)
    _compute(inputs, journal, shards, layers)
    view = shards.directory / "view.h5"
    journal.lead(lambda: shards.write_view(view))
    yield {layer: Stored(view, layer) for layer in layers}
    journal.lead(lambda: shutil.rmtree(shards.directory.parent, ignore_errors=True))


def groups(inputs: Inputs) -> Iterator[list[str]]:
    """Cut the layers into groups whose heatmaps are on the disk at one time."""
    if inputs.settings.store == "all":
        yield inputs.results.layers
        return
    sizes, group = _row_bytes(inputs), list[str]()
    for layer in inputs.results.layers:
        if group and sum(sizes[name] for name in (*group, layer)) * len(inputs.results.errors) > _TOGETHER:
            yield group
            group = []
        group.append(layer)
    yield group


def write_conservation(inputs: Inputs, h5: h5py.File, layer: str, rows: Stored) -> None:
    """Put in how much relevance the layer lost, where the heatmaps themselves are not kept."""
    if f"layers/{layer}/conservation" not in h5 and _conserved(inputs, [layer]):
        _write_conservation(h5, layer, lambda name: Stored(rows.path, name)[...])


def _wanted(inputs: Inputs) -> list[str]:
    """Layers whose heatmaps are kept."""
    if inputs.settings.store == "all":
        return inputs.results.layers
    if not inputs.results.has("clusters"):
        return []
    chosen = inputs.results.chosen_layer
    rows = inputs.linked_from(chosen) == "rows"  # they are kept in place of the distances
    return [chosen] if rows or inputs.settings.store == "selected" else []


def _row_bytes(inputs: Inputs) -> dict[str, int]:
    """Size of an error's heatmap, and of its conservation, by layer."""
    number = np.dtype(inputs.settings.dtype).itemsize
    return {
        layer: int(np.prod(inputs.results.heatmap_shape(layer), dtype=np.int64)) * number + 4
        for layer in inputs.results.layers
    }


def _shards(inputs: Inputs, journal: Journal, kind: str, layers: list[str]) -> ShardSet:
    """Shards of some layers. How the rows are cut does not depend on which, so that neither do the numbers."""
    mark, rows = fingerprint(inputs), ShardSet.rows_for(sum(_row_bytes(inputs).values()))
    if set(layers) != set(inputs.results.layers):
        mark = digest(mark, layers)
    directory, count = journal.shards(kind, mark), len(inputs.results.errors)
    algorithm = journal.algorithm("heatmaps", mark)
    return ShardSet(directory, count, rows, mark, inputs.settings.compression, algorithm)


def _channels(extractor: Extractor | None) -> dict[str, int]:
    """The axis of the channels by layer, from the end, of features that are those of layers."""
    return getattr(extractor, "channels", {})


def _describe(
    inputs: Inputs,
    journal: Journal,
    mark: str,
    started: float,
    found: dict[str, np.ndarray],
    channels: dict[str, int],
    head: str,
) -> None:
    """Put the layers into the file, in their order, with the shape of a heatmap and the axis of its channels.

    And what is explained where the DNN ends in a head.
    """
    with journal.committing("layers", mark, started) as h5:
        h5.attrs["explained"] = head or inputs.task.about()
        journal.forget(h5, "layers")
        journal.forget_after(h5, "layers")
        names = [name for name in found if not name.startswith((_CONSERVATION, _CUMULATIVE))]
        for index, layer in enumerate(names):
            group = h5.create_group(f"layers/{layer}")
            group.attrs["index"] = index
            group.attrs["shape"] = np.array(found[layer].shape[1:], np.int64)
            if inputs.settings.effective_pool == "none" and layer in channels:
                group.attrs["channel_axis"] = channels[layer] % found[layer].ndim


def _show(inputs: Inputs, journal: Journal, shards: ShardSet, layers: list[str], started: float) -> None:
    """Show the shards as one dataset a layer; heatmaps of other layers are no longer kept."""
    pool = inputs.settings.effective_pool
    lost = shards.columns(_conserved(inputs, layers))
    with journal.committing("heatmaps", shards.fingerprint, started) as h5:
        for layer in inputs.results.layers:
            drop(h5, [f"layers/{layer}/relevance"])
            if layer not in layers:
                continue
            layout = shards.virtual_layout(layer, journal.path)
            about, units = inputs.features.about(layer)
            dims = ("error", *_axes(pool, len(layout.shape) - 1, inputs.results.channel_axis(layer)))
            name = f"layers/{layer}/relevance"
            write_dataset(h5, name, layout, dims=dims, units=units, description=about)
            if _CONSERVATION + layer in lost:
                _write_conservation(h5, layer, lost.__getitem__)
    journal.keep_shards(shards.directory)


def _conserved(inputs: Inputs, layers: list[str]) -> list[str]:
    """Columns of the shards that tell conservation: relevance is conserved, other features are not."""
    kinds = (_CONSERVATION, _CUMULATIVE) if inputs.settings.kind.conserves else ()
    return [kind + layer for layer in layers for kind in kinds]


def _write_conservation(h5: h5py.File, layer: str, column: Callable[[str], np.ndarray]) -> None:
    about = {
        "conservation": "relative deviation of the relevance's sum from the explained output",
        "cumulative": "what was lost (below zero) or added from the output on, over what is explained",
    }
    for name, description in about.items():
        values = column(f"{name} of {layer}")
        write_dataset(h5, f"layers/{layer}/{name}", values, dims=("error",), description=description)


def _compute(
    inputs: Inputs, journal: Journal, shards: ShardSet, layers: list[str], extractor: Extractor | None = None
) -> None:
    """Compute the shards that are missing: images are decoded ahead, shards written behind."""
    missing = journal.lead(shards.missing)
    if not missing:
        return
    journal.lead(lambda: journal.check_algorithm("layers"))
    extractor = extractor or inputs.features.extractor(layers)
    _estimate(inputs, journal, extractor, layers, sum(stop - start for start, stop in missing))
    journal.ranks.each(partial(_stream, inputs, shards, extractor, journal.ranks.mine(missing)))


def _stream(
    inputs: Inputs, shards: ShardSet, extractor: Extractor, ranges: Sequence[tuple[int, int]]
) -> None:
    """Compute some shards, as one stream of batches that never cross a shard's border."""
    source, errors, size = inputs.features.source("test"), inputs.results.errors, inputs.settings.batch_size
    explained = inputs.results.explained("test")
    cuts = [(start, at, min(at + size, stop)) for start, stop in ranges for at in range(start, stop, size)]
    loaded = loaded_ahead(source.load, (errors[at:end] for _, at, end in cuts), inputs.settings.workers)
    batches = ((images, torch.from_numpy(explained[rows])) for rows, images in loaded)
    with (
        progress("heatmaps", sum(stop - start for start, stop in ranges)) as advance,
        shards.written_behind() as writing,
    ):
        remaining = iter(ranges)
        start, stop = next(remaining, (0, 0))
        row = start
        for count, found in streamed(
            partial(_results, inputs, extractor), batches, transfer_to(inputs.device)
        ):
            if row == start:
                shard = writing.begin(start, found)
            for name, part in found.items():
                shard[name][row - start : row - start + count] = part
            row += count
            if row == stop:
                writing.end()
                start, stop = next(remaining, (row, row))
                row = start
            advance(count)


def _results(
    inputs: Inputs, extractor: Extractor, images: torch.Tensor, explained: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Heatmaps and conservation of some images, by dataset name, on the device."""
    # The LRP engine takes the target from the CPU, so that it need not wait for the GPU.
    there = explained if isinstance(extractor, LRP) else explained.to(inputs.device)
    with contracting(inputs.settings.arithmetic):
        found = extractor.attribute(images, target=inputs.task.explain(there))
    lost = {_CONSERVATION + layer: deviation.float() for layer, deviation in found.conservation.items()}
    unknown = dict.fromkeys(found.conservation, torch.full((len(images),), torch.nan))
    gone = {_CUMULATIVE + layer: {**unknown, **found.cumulative}[layer].float() for layer in unknown}
    return {**found.layers, **lost, **gone}


def _explained(
    inputs: Inputs, extractor: Extractor, images: torch.Tensor, target: np.ndarray
) -> dict[str, np.ndarray]:
    """Heatmaps and conservation of some images, by dataset name."""
    batch = [(images, torch.from_numpy(target))]
    parts = streamed(partial(_results, inputs, extractor), batch, transfer_to(inputs.device))
    return next(found for _, found in parts)


def _estimate(inputs: Inputs, journal: Journal, extractor: Extractor, layers: list[str], count: int) -> None:
    """Estimate space and time before the work begins."""
    sizes, rows, seconds = _row_bytes(inputs), inputs.results.errors[: inputs.settings.batch_size], 0.0
    if count > 20 * len(rows):
        images, target = (
            inputs.features.source("test").load(rows),
            inputs.results.explained("test")[rows],
        )
        seconds = seconds_of(lambda: _explained(inputs, extractor, images, target)) * count / len(rows)
    needed = count * sum(sizes[layer] for layer in layers)
    journal.lead(lambda: estimate_step(journal, "heatmaps", needed, seconds / journal.ranks.world))


def _axes(pool: str, count: int, channels: int) -> tuple[str, ...]:
    """Names of a heatmap's dimensions after the first; `channels` is the axis of the channels, counted with it."""
    if pool == "space" and count == 2:
        return ("row", "column")
    named = {0: (), 1: ("unit",), 2: ("token",), 3: ("row", "column")}
    if count not in named:
        return tuple(f"axis_{number}" for number in range(1, count + 1))
    names = list(named[count])
    if count > 1:
        names.insert(channels - 1, "channel")
    return tuple(names)


def fingerprints(inputs: Inputs, journal: Journal) -> dict[str, str]:
    """Everything that the layers' description and the heatmaps that are kept depend on, by the key of the result."""
    kept = _shards(inputs, journal, "heatmaps", _wanted(inputs))
    return {"layers": fingerprint(inputs), "heatmaps": kept.fingerprint}


STEP = Step(
    name="heatmaps",
    requires=("test/test",),
    outputs={"layers": ("layers",), "heatmaps": ("layers/*/relevance", "layers/*/conservation")},
    shards=("heatmaps", "passing"),
    run=run,
    fingerprint=fingerprints,
    version=4,  # 2: modules with children are layers; moments against a trimmed set; 3: roughness; 4: weighted
)
