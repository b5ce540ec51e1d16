"""What a study's file may not hold: ways out of its directory, and arrays that say more than they have.

``study.h5`` may come from anyone. HDF5 can name other files in four ways (external links, virtual datasets, external
storage, and soft links that lead to these), and a file of kilobytes can declare exabytes.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import h5py

from hudd.errors import HuddError
from hudd.memory import memory_bytes

_SHARDS = "shards"
_RATIO = 1100  # what deflate can pack at most, about
_FREE = 1 << 20  # bytes that a dataset may declare without any


def check_contents(file: h5py.File, path: Path) -> None:
    """Refuse a file that links out of its study, or whose datasets cannot hold what they declare.

    Parameters
    ----------
    file : h5py.File
        Open; only its structure is looked at.
    path : Path
        Where it stands. Its shards may lie in ``shards/`` next to it and nowhere else.

    Raises
    ------
    HuddError
        Naming the object.
    """
    root = (path.parent / _SHARDS).resolve()
    links: list[tuple[str, h5py.HardLink | h5py.SoftLink | h5py.ExternalLink]] = []
    file.visititems_links(lambda name, link: links.append((name, link)))
    sources: set[str] = set()
    for name, link in links:
        if isinstance(link, h5py.ExternalLink):
            raise _leads_out(path, name, link.filename)
        if isinstance(link, h5py.SoftLink):
            raise HuddError(
                f"'{path}' has a link at '{name}' (to '{link.path}'), which hudd never writes; {_REMEDY}."
            )
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external:
            raise _leads_out(path, name, item.external[0][0])
        if item.is_virtual:
            for source in {source.file_name for source in item.virtual_sources()} - sources:
                parts = PurePosixPath(source).parts
                if parts[:1] != (_SHARDS,) or ".." in parts or not _beneath(path.parent / source, root):
                    raise _leads_out(path, name, source)
                sources.add(source)
        elif item.shape and not item.is_scale:
            held = item.id.get_storage_size()
            if item.nbytes > _FREE + _RATIO * held:
                raise HuddError(
                    f"'{name}' in '{path}' says that it holds {item.nbytes:,} bytes, but has {held:,}; {_REMEDY}."
                )


def check_size(item: h5py.Dataset, size: int) -> None:
    """Refuse to read `size` bytes of a dataset where that is more than memory.

    Raises
    ------
    HuddError
        Naming the dataset.
    """
    if size > memory_bytes():
        raise HuddError(
            f"'{item.name}' in '{item.file.filename}' says that it holds {size / 2**30:,.1f} GiB and this machine has "
            f"{memory_bytes() / 2**30:,.1f} GiB of memory; read it by parts, or {_REMEDY}."
        )


_REMEDY = "restore the study from a copy, or run it again in another directory"


def _leads_out(path: Path, name: str, where: str) -> HuddError:
    return HuddError(
        f"'{name}' in '{path}' leads out of the study, to '{where}'; such a file is not opened: {_REMEDY}."
    )


def _beneath(file: Path, root: Path) -> bool:
    return file.resolve().is_relative_to(root)
