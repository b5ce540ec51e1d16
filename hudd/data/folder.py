"""A tree of image files: one folder per class, or unlabelled images in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hudd.data.assignment import CLASSES, Assignment, unlabelled
from hudd.data.classes import from_names
from hudd.data.files import IMAGE_SUFFIXES, FileSource, first, is_inside
from hudd.data.leftovers import is_left_behind, is_sidecar
from hudd.errors import UsageError
from hudd.lazy import torch

# What folders of whole sets are called; where nothing else is there, the folder above was named.
SETS = frozenset((
    "train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout",
    "improvement", "field", "train_set", "test_set", "val_set", "trainset", "testset", "images",
))  # fmt: skip


def open_folder(
    root: Path,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> FileSource:
    """Open an image folder.

    With folders inside, each is a class (deeper folders belong to it) and the class names are the folder names,
    sorted as text. With images only, the labels are unknown (-1). Sidecars (.csv, .txt, .json and the like) are passed
    over, and so are hidden entries and what file managers leave behind (``__MACOSX``, ``@eaDir``, ``Thumbs.db``,
    thumbnails), unless it is called like a class; any other file that is not an image is refused.

    Parameters
    ----------
    root : Path
        The folder; identifiers are paths relative to it.
    transform : callable, optional
        See :class:`hudd.data.ImageSource`.
    class_names : sequence of str, optional
        The network's classes; folders are matched as :func:`hudd.data.classes.match` says: by name, or by class
        number where they are whole numbers and no names (``00000``, ``00001``, ...).

    Raises
    ------
    UsageError
        If the folder is empty, holds whole sets in place of classes, or mixes labelled and unlabelled images, a file is
        no image, a link leads out of the tree, or a folder is no known class.
    """
    tree = _Tree(root, frozenset(class_names or ()))
    files = sorted(tree.images(root, ()))
    if not files:
        raise UsageError(
            f"folder '{root}' holds no images; put images in it, or in one folder per class, e.g. {root}/cat/1.png."
        )
    relative = [file.relative_to(root) for file in files]
    loose = [path for path in relative if len(path.parts) == 1]
    if loose and len(loose) < len(relative):
        raise UsageError(
            f"folder '{root}' holds images next to class folders ({first(map(str, loose), 3)}); "
            "move them into a class folder, or take them out."
        )
    paths = [path.as_posix() for path in relative]
    assignment = unlabelled(len(files), class_names) if loose else _assign(root, paths, tree, class_names)
    source = FileSource(files, paths, assignment.labels, assignment.class_names, None, transform)
    source.assignment = assignment
    source.remarks = tree.remarks()
    if loose:
        source.without_labels = (
            f"the images in '{root}' lie in no class folders; move them into one folder per class"
        )
    return source


def _assign(root: Path, paths: list[str], tree: _Tree, class_names: Sequence[str] | None) -> Assignment:
    names = [path.split("/", 1)[0] for path in paths]
    _check_level(root, paths, class_names)

    def where(row: int) -> str:
        return f"image '{paths[row]}' in '{root}'"

    return from_names(names, class_names, where, also=tree.folders)


def _check_level(root: Path, paths: list[str], class_names: Sequence[str] | None) -> None:
    """Refuse a folder whose folders are sets, or hold the classes: the one above the set was named."""
    parts = [path.split("/") for path in paths]
    tops = {part[0] for part in parts}
    below = {part[1] for part in parts if len(part) > 2}
    known = set(class_names or ())
    if tops <= known:
        return
    sets = all(name.lower() in SETS for name in tops)
    if sets or (below and below <= known and not tops & known):
        example = f"{root}/{min(tops)}"
        also = f", or {CLASSES}, if these are classes" if class_names is None else ""
        what = "sets" if sets else "folders of classes"
        raise UsageError(
            f"folder '{root}' holds {what} ({first(sorted(tops), 3)}), not classes; name one of them, e.g. "
            f"'{example}'{also}."
        )


class _Tree:
    """The walk over a tree: finds its images, and remembers what it passed over.

    Attributes
    ----------
    folders : list of str
        Names of the folders that may be classes, empty ones too.
    passed : list of str
        What was passed over by name, relative to the root.
    """

    def __init__(self, root: Path, classes: frozenset[str]) -> None:
        self.root, self.resolved, self.classes = root, root.resolve(), classes
        self.folders: list[str] = []
        self.passed: list[str] = []

    def images(self, folder: Path, parents: tuple[Path, ...]) -> Iterator[Path]:
        """Yield the image files beneath `folder`."""
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise UsageError(f"folder '{folder}' cannot be read: {error.strerror}.") from error
        stems = {entry.stem.lower() for entry in entries}
        top = folder == self.root
        for entry in entries:
            if is_left_behind(entry, stems, self.classes if top else frozenset()):
                self.passed.append(entry.relative_to(self.root).as_posix())
                continue
            if entry.is_symlink() and not is_inside(entry, self.resolved):
                raise UsageError(
                    f"'{entry}' is a link that leads out of the data tree, to '{entry.resolve()}'; "
                    "copy what it points to, or list the files in a manifest."
                )
            if entry.is_dir():
                here = entry.resolve()
                if here in parents or here == self.resolved:
                    raise UsageError(f"'{entry}' is a link to a folder that holds it; remove the link.")
                if top:
                    self.folders.append(entry.name)
                yield from self.images(entry, (*parents, here))
            elif entry.suffix.lower() in IMAGE_SUFFIXES:
                yield entry
            elif not is_sidecar(entry):
                raise UsageError(
                    f"'{entry}' in the image folder is not an image (known suffixes: "
                    f"{' '.join(sorted(IMAGE_SUFFIXES))}); move it elsewhere."
                )

    def remarks(self) -> list[str]:
        """Say what was passed over."""
        if not self.passed:
            return []
        count = len(self.passed)
        entries = "entry that is" if count == 1 else "entries that are"
        return [f"{count:,} {entries} no data by name passed over in '{self.root}': {first(self.passed, 3)}."]
