"""A study's tables as CSV files, and its images in a folder a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from hudd.errors import UsageError
from hudd.progress import progress
from hudd.store.files import write_error
from hudd.study.study import Study
from hudd.study.summary import available_tables, table

FORMATS = ("csv", "images")


def export(study: Study, out: str | Path, *, formats: tuple[str, ...] = FORMATS) -> list[Path]:
    """Write what the study has found in forms that other programs read.

    Parameters
    ----------
    study : Study
        The study, tested at least.
    out : str or Path
        Directory to write to; made if need be.
    formats : tuple of str
        ``csv``: a file a table. ``images``: ``errors/cluster_01/...png``, the medoid first, and
        ``unsafe/cluster_01/...png``, the closest first.

    Returns
    -------
    list of Path
        The files and folders made.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UsageError(
            f"export format '{', '.join(unknown)}' is unknown; choose among: {', '.join(FORMATS)}."
        )
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = []
        if "csv" in formats:
            made += _tables(study, out)
        if "images" in formats:
            made += _images(study, out)
    except OSError as error:
        raise write_error(out, error) from error
    return made


def _tables(study: Study, out: Path) -> list[Path]:
    made = []
    for name in available_tables(study):
        made.append(out / f"{name}.csv")
        table(study, name).to_csv(made[-1], index=False)
    return made


def _images(study: Study, out: Path) -> list[Path]:
    clusters, errors = study.clusters, study.errors
    first = np.isin(np.arange(len(errors)), clusters.medoid)
    order = np.lexsort((~first, clusters.label))
    made = [_folders(study, "test", out / "errors", errors[order], clusters.label[order])]
    if study.has("selection"):
        unsafe = study.selection
        order = np.lexsort((unsafe.distance, unsafe.cluster))
        made.append(
            _folders(study, "improvement", out / "unsafe", unsafe.image[order], unsafe.cluster[order])
        )
    return made


def _folders(study: Study, split: str, out: Path, rows: np.ndarray, clusters: np.ndarray) -> Path:
    source, place = study.source(split), 0
    with progress(f"{out.name} images", len(rows)) as advance:
        for number, (row, cluster) in enumerate(zip(rows, clusters)):
            place = 0 if number == 0 or cluster != clusters[number - 1] else place + 1
            folder = out / f"cluster_{cluster:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(source.paths[row]).stem)
            Image.fromarray(source.picture(int(row))).save(folder / f"{place:04d}_{name}.png")
            advance(1)
    return out
