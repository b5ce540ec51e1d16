"""What an exporter is, and how an export comes to stand whole: written aside, listed in a manifest, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hudd.errors import HuddError, UsageError
from hudd.export.manifest import (
    Manifest,
    Record,
    State,
    check_replaceable,
    contents,
    files_in,
    hash_file,
    keep_files,
)
from hudd.parts import EXPORTERS
from hudd.review.journal import stamp
from hudd.review.view import view
from hudd.specs import is_factory
from hudd.store.aside import whole_folder
from hudd.store.files import write_error
from hudd.store.seal import digest_of

if TYPE_CHECKING:
    from hudd.study import Study

_TRIES = 5  # of an export while others change the study or its review


@dataclass(frozen=True)
class Exporter:
    """A format that the results of a study are written in.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    write : callable
        ``write(results, folder, **options)`` writes into a folder and returns the file or files to open. `results` is
        the :class:`hudd.review.view.View` of the study, with the clusters as they were reviewed; options are what
        JSON can hold. The folder may hold the files of other exporters.
    folder : str
        Where in an export of several formats its files lie; empty for the export's own folder.
    """

    name: str
    write: Callable[..., Path | list[Path]]
    folder: str = ""


def find_exporter(name: str) -> Exporter:
    """Return the exporter of a format, or that of the spec ``package.module:EXPORTER``, under that name.

    Raises
    ------
    UsageError
        If there is none, it cannot be imported, or it is no :class:`Exporter`.
    """
    found: Any = EXPORTERS.find(name)
    if not isinstance(found, Exporter):
        raise UsageError(
            f"export format '{name}' is an object of type {type(found).__name__}; it must be a hudd.extend.Exporter."
        )
    return replace(found, name=name)


def export_one(study: Study, out: str | Path, name: str, **options: Any) -> list[Path]:
    """Write one format into a folder of its own, with the options of that format.

    Parameters
    ----------
    study : Study
        The study, as far as the format needs it; see :func:`hudd.export.export`.
    out : str or Path
        Folder; made if need be; an earlier export in it is replaced as a whole.
    name : str
        Any of :data:`EXPORTERS`, or a spec ``package.module:EXPORTER``.
    **options
        Keyword arguments of the format's ``write``: ``layer`` where heatmaps are drawn, by default the chosen one;
        ``layers`` of ``tensors``; ``served_as`` of ``label-studio``.

    Returns
    -------
    list of Path
        What was made, or the file to open with the tool.

    Raises
    ------
    UsageError
        If the format is unknown, a layer is not in the study, or the folder holds what hudd has not exported.
    HuddError
        If the study has not come far enough, a package is missing or a file cannot be written.
    """
    return write_export(study, out, [(replace(find_exporter(name), folder=""), options)])


def write_export(
    study: Study, out: str | Path, wanted: Sequence[tuple[Exporter, dict[str, Any]]]
) -> list[Path]:
    """Write an export, whole and of one state of the study and its review, or leave what there is.

    What an earlier export left is replaced as a whole. Its other formats are kept, written again where the study or
    its review has changed since, so that all that lies in the folder is of one state.

    Parameters
    ----------
    study : Study
        The study.
    out : str or Path
        Folder; made if need be.
    wanted : sequence of (Exporter, dict)
        What to write, and the options of each.

    Returns
    -------
    list of Path
        What was made, or the files to open.

    Raises
    ------
    UsageError
        If the folder holds what hudd has not exported, or what was changed since; nothing is then written.
    HuddError
        If the folder cannot be written, or others change the study all the time.
    """
    out = _checked_folder(study.path, Path(out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            with suppress(_ChangedError):
                return _write_once(study, out, wanted)
    except OSError as error:
        raise write_error(out, error) from error
    raise HuddError(f"'{study.path}' is being changed by others; export it when they have ended.")


class _ChangedError(Exception):
    """The study, its review or the folder has changed while the export was written."""


def _write_once(study: Study, out: Path, wanted: Sequence[tuple[Exporter, dict[str, Any]]]) -> list[Path]:
    earlier = Manifest.read(out)
    there = check_replaceable(out, earlier)
    stored, edited = digest_of(study.path / "study.h5"), stamp(study.path)
    results = view(study)
    state = State(stored, results.review_digest)

    def has_changed() -> bool:
        return (stored, edited) != (digest_of(study.path / "study.h5"), stamp(study.path))

    def may_replace() -> None:
        if has_changed() or contents(out) != there:
            raise _ChangedError

    names = {exporter.name for exporter, _ in wanted}
    kept = {name: one for name, one in (earlier.formats if earlier else {}).items() if name not in names}
    records: dict[str, Record] = {}
    with whole_folder(out, may_replace) as aside:

        def fill(exporter: Exporter, options: dict[str, Any]) -> list[Path]:
            before, folder = files_in(aside), aside / exporter.folder
            folder.mkdir(parents=True, exist_ok=True)
            with EXPORTERS.attributing_errors(exporter.name):
                written = exporter.write(results, folder, **options)
            found = [Path(path) for path in (written if isinstance(written, list) else [written])]
            if missing := [path for path in found if aside not in path.parents or not path.exists()]:
                raise HuddError(
                    f"export format '{exporter.name}' names '{missing[0]}', which it has not written to its folder."
                )
            new = sorted(files_in(aside) - before)
            hashes = {path: hash_file(aside / path) for path in new}
            records[exporter.name] = Record(exporter.folder, options, hashes)
            return found

        try:
            found = [path for exporter, options in wanted for path in fill(exporter, options)]
            for name, record in kept.items():
                if earlier and earlier.state == state:
                    keep_files(out, aside, record.files)
                    records[name] = record
                elif name in EXPORTERS or is_factory(name):
                    fill(replace(find_exporter(name), folder=record.folder), record.options)
        except Exception:
            if has_changed():  # what was read was of two states
                raise _ChangedError from None
            raise
        Manifest(study.path.name, state, records).write(aside)
    return [out / path.relative_to(aside) for path in found]


def _checked_folder(study: Path, out: Path) -> Path:
    """Return the folder to replace, with links followed but for those in a study, which may be a stranger's."""
    out = Path(os.path.abspath(out))  # noqa: PTH100 (links must stay)
    if study in out.parents:
        for part in (out, *out.parents)[: len(out.parts) - len(study.parts)]:
            if part.is_symlink():
                raise UsageError(
                    f"'{part}' is a symbolic link; name a folder outside the study to export to."
                )
    else:
        out = out.resolve()
    with suppress(FileNotFoundError):
        if out in (Path.cwd(), *Path.cwd().parents):
            raise UsageError(f"'{out}' is the folder that you are in; name one in it or next to it.")
    if out.is_mount():
        raise UsageError(f"'{out}' is a mounted file system, which cannot be replaced; name a folder in it.")
    return out
