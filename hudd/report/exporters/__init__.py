"""A study's findings in the formats of the tools that people look at images with."""

from __future__ import annotations

from pathlib import Path

from hudd.errors import UsageError
from hudd.report.exporters.parquet import export_parquet
from hudd.report.exporters.virelay import export_virelay
from hudd.study import Study
from hudd.study.export import FORMATS as PLAIN_FORMATS
from hudd.study.export import export as export_plainly

EXPORTERS = {"virelay": export_virelay, "parquet": export_parquet}
"""Name to exporter: each takes a study and a directory and returns the file to open."""

FORMATS = (*PLAIN_FORMATS, *EXPORTERS)

__all__ = ["EXPORTERS", "FORMATS", "export", "export_parquet", "export_virelay"]


def export(study: Study, out: str | Path, *, formats: tuple[str, ...] = PLAIN_FORMATS) -> list[Path]:
    """Write what the study has found in forms that other programs read.

    Parameters
    ----------
    study : Study
        The study, tested at least; clustered for ``virelay``.
    out : str or Path
        Directory to write to; made if need be. Formats of tools go to a folder of their own in it.
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
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(
            f"export format '{', '.join(unknown)}' is unknown; choose among: {', '.join(FORMATS)}."
        )
    plain = tuple(name for name in formats if name in PLAIN_FORMATS)
    made = export_plainly(study, out, formats=plain) if plain else []
    return made + [EXPORTERS[name](study, Path(out) / name) for name in formats if name in EXPORTERS]
