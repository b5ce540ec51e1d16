"""What is clustered as plain tensors: relevance, in the shape in which captum and zennit return it, or features."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hudd.export.errors import checked_layer, file_name, made
from hudd.progress import progress
from hudd.store.files import write_error

if TYPE_CHECKING:
    from hudd.study import Study


def export_tensors(study: Study, out: str | Path, *, layers: Sequence[str] | None = None) -> list[Path]:
    """Write a ``.safetensors`` file a layer, one row an error.

    ``attribution`` has the shape of the layer's input, batch first, float32, as
    ``captum.attr.LayerLRP(...).attribute(attribute_to_layer_input=True)`` returns it. Where the study clusters
    something else than relevance, as the channel moments of the default preset, that is there as ``features``,
    (errors, ...) float32, and no ``attribution``. ``target`` is the explained
    class, as captum's argument of that name; ``label`` the true class, ``index`` the row of the test set and
    ``cluster`` the root-cause cluster, int64. Metadata name layer, rules and model. Nothing is held in memory.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    out : str or Path
        Directory; made if need be, files of an older export are replaced.
    layers : sequence of str, optional
        By default the chosen layer.

    Returns
    -------
    list of Path
        A file a layer.

    Raises
    ------
    UsageError
        If a layer is not in the study.
    HuddError
        If the study has no clusters yet or the directory cannot be written.
    """
    wanted, out = [checked_layer(study, layer) for layer in layers or (None,)], Path(out)
    made(out)
    test, errors = study.split("test"), study.errors
    small = {
        "cluster": study.clusters.label,
        "index": errors,
        "label": test.label[errors],
        "target": test.prediction[errors],
    }
    return [_write(study, layer, out / f"{file_name(layer)}.safetensors", small) for layer in wanted]


def _write(study: Study, layer: str, path: Path, small: dict[str, np.ndarray], batch: int = 64) -> Path:
    rows = study.heatmaps_of(layer)
    what = "attribution" if study.settings.choices.features == "relevance" else "features"
    shapes = {what: ("F32", list(rows.shape), 4)}
    shapes |= {name: ("I64", [len(values)], 8) for name, values in small.items()}
    metadata = {
        "layer": layer,
        "model": study.settings.model,
        "rules": str(study.provenance.get("rules", "")),
    }
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape, size) in shapes.items():
        start, end = end, end + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(header, ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)  # the format asks for aligned data
    aside = path.with_name(f".aside-{os.getpid()}-{path.name}")
    try:
        with aside.open("wb") as file, progress("tensors", len(rows)) as advance:
            file.write(struct.pack("<Q", len(head)) + head)
            for start in range(0, len(rows), batch):
                part = np.ascontiguousarray(rows[start : start + batch], "<f4")
                file.write(part.tobytes())
                advance(len(part))
            for values in small.values():
                file.write(np.ascontiguousarray(values, "<i8").tobytes())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise write_error(path, error) from error
    return path
