"""A study's findings in the formats of the tools that people look at images with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hudd.errors import UsageError
from hudd.export.coco import export_coco
from hudd.export.fiftyone import export_fiftyone
from hudd.export.folders import export_folders
from hudd.export.label_studio import export_label_studio
from hudd.export.parquet import export_parquet
from hudd.export.tables import export_tables
from hudd.export.tensors import export_tensors
from hudd.export.virelay import export_virelay
from hudd.review.reviewed import reviewed
from hudd.study import Study

__all__ = [
    "FORMATS",
    "export",
    "export_coco",
    "export_fiftyone",
    "export_folders",
    "export_label_studio",
    "export_parquet",
    "export_tables",
    "export_tensors",
    "export_virelay",
]

_PLAIN: dict[str, Callable[..., list[Path]]] = {"csv": export_tables, "images": export_folders}
_TOOLS: dict[str, Callable[..., Path | list[Path]]] = {
    "virelay": export_virelay,
    "fiftyone": export_fiftyone,
    "parquet": export_parquet,
    "coco": export_coco,
    "label-studio": export_label_studio,
    "tensors": export_tensors,
}
FORMATS = (*_PLAIN, *_TOOLS)
"""Names of the formats: those of the first kind go to the directory itself, a tool's to a folder of its name."""


def export(study: Study, out: str | Path, *, formats: tuple[str, ...] = tuple(_PLAIN)) -> list[Path]:
    """Write what the study has found in forms that other programs read.

    Clusters are those that people have left: named, merged and split as on the served report.

    Parameters
    ----------
    study : Study
        The study, tested at least; clustered for all but ``csv``; with a selection for ``label-studio``.
    out : str or Path
        Directory to write to; made if need be.
    formats : tuple of str
        Any of :data:`FORMATS`.

    Returns
    -------
    list of Path
        What was made, or the file to open with the tool.

    Raises
    ------
    UsageError
        If a format is unknown; nothing is then written.
    HuddError
        If the study has not come far enough, a package is missing or a file cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(
            f"export format '{', '.join(unknown)}' is unknown; choose among: {', '.join(FORMATS)}."
        )
    paths: list[Path] = []
    for name in formats:
        if name == "csv":  # the study's own tables; what people made of its clusters is one of its own
            paths += export_tables(study, out)
            continue
        edited = reviewed(study)
        found = _PLAIN[name](edited, out) if name in _PLAIN else _TOOLS[name](edited, Path(out) / name)
        paths += found if isinstance(found, list) else [found]
    return paths
