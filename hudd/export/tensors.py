"""What is clustered as plain tensors: relevance, in the shape in which captum and zennit return it, or features."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hudd.export.base import Exporter
from hudd.export.errors import checked_layer, file_name
from hudd.features import feature_kind
from hudd.progress import progress
from hudd.text import to_json

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, layers: Sequence[str] | None = None) -> list[Path]:
    """Write a ``.safetensors`` file per layer, one row per error.

    ``attribution`` has the shape of the layer's input, batch first, float32, as
    ``captum.attr.LayerLRP(...).attribute(attribute_to_layer_input=True)`` returns it. Where the study clusters
    something else than relevance, as the channel moments of the default preset, that is there as ``features``,
    (errors, ...) float32, and no ``attribution``. ``target`` is the explained
    class, as captum's argument of that name; ``label`` the true class, ``index`` the row of the test set and
    ``cluster`` the root-cause cluster, int64. Metadata name layer, rules,
    model and clusters. Nothing is held in memory.
    """
    wanted = [checked_layer(results, layer) for layer in layers or (None,)]
    test, errors = results.split("test"), results.errors
    small = {
        "cluster": results.clusters.label,
        "index": errors,
        "label": test.label[errors],
        "target": test.prediction[errors],
    }
    return [
        _write_layer(results, layer, folder / f"{file_name(layer)}.safetensors", small) for layer in wanted
    ]


TENSORS = Exporter("tensors", _write, folder="tensors")


def _write_layer(
    results: View, layer: str, path: Path, small: dict[str, np.ndarray], batch: int = 64
) -> Path:
    rows, clusters = results.heatmaps_of(layer), results.clusters
    what = "attribution" if feature_kind(results.settings.choices.features).drawn else "features"
    shapes = {what: ("F32", list(rows.shape), 4)}
    shapes |= {name: ("I64", [len(values)], 8) for name, values in small.items()}
    metadata = {
        "layer": layer,
        "model": results.settings.model,
        "rules": str(results.provenance.get("rules", "")),
        "clusters": json.dumps({number: clusters.title(number) for number in clusters.numbers}),
    }
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape, size) in shapes.items():
        start, end = end, end + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    head = to_json(header)
    head += b" " * (-len(head) % 8)  # the format asks for aligned data
    with path.open("wb") as file, progress("tensors", len(rows)) as advance:
        file.write(struct.pack("<Q", len(head)) + head)
        for start in range(0, len(rows), batch):
            part = np.ascontiguousarray(rows[start : start + batch], "<f4")
            file.write(part.tobytes())
            advance(len(part))
        for values in small.values():
            file.write(np.ascontiguousarray(values, "<i8").tobytes())
    return path
