"""A study's findings in the formats of the tools that people look at images with."""

from __future__ import annotations

from pathlib import Path

from hudd.errors import UsageError
from hudd.export.base import Exporter, export_one, find_exporter, write_export
from hudd.export.openodd_reader import read_openodd
from hudd.parts import EXPORTERS, TRACKERS
from hudd.specs import is_factory
from hudd.study import Study

__all__ = ["EXPORTERS", "FORMATS", "Exporter", "export", "export_one", "read_openodd"]

FORMATS = tuple(name for name in EXPORTERS.own if name not in TRACKERS)
"""Names of hudd's own formats; those of experiment trackers, ``tensorboard`` and ``mlflow``, are not among them."""


def export(study: Study, out: str | Path, *, formats: tuple[str, ...] = ("csv", "images")) -> list[Path]:
    """Write what the study has found in forms that other programs read.

    Clusters are those that people have left: named, merged and split as on the served report. The directory is
    replaced as a whole or stays as it is; formats that an earlier export has left in it are kept, and written again
    where the study or its review has changed since.

    Parameters
    ----------
    study : Study
        The study, tested at least; clustered for all but ``csv``; with a selection for ``label-studio``.
    out : str or Path
        Directory to write to; made if need be.
    formats : tuple of str
        Any of :data:`FORMATS`, ``tensorboard``, ``mlflow``, those that packages register, or specs
        ``package.module:EXPORTER``.

    Returns
    -------
    list of Path
        What was made, or the file to open with the tool.

    Raises
    ------
    UsageError
        If a format is unknown, or the directory holds what hudd has not exported; nothing is then written.
    HuddError
        If the study has not come far enough, a package is missing or a file cannot be written.
    """
    unknown = [name for name in formats if name not in EXPORTERS and not is_factory(name)]
    if unknown or not formats:
        raise UsageError(
            f"export format '{', '.join(unknown)}' is unknown; choose among: {', '.join(EXPORTERS)}; or give "
            "package.module:EXPORTER."
        )
    return write_export(study, out, [(find_exporter(name), {}) for name in dict.fromkeys(formats)])
