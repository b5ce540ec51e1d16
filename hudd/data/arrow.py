"""Images in Parquet and Arrow files: tables with a column of image bytes, as Hugging Face has them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from hudd.data.assignment import Assignment
from hudd.data.classes import renumber
from hudd.data.columns import UNNAMED, Features, add_rows, features_of, has_images
from hudd.data.encoded import EncodedSource, assign, check_distinct, tellers
from hudd.data.files import first
from hudd.data.identifiers import Identifiers
from hudd.data.index import Builder, Column, Index, index_of
from hudd.data.places import Place, expand
from hudd.errors import HuddError, UsageError
from hudd.lazy import torch

PARQUET_SUFFIX, ARROW_SUFFIX = ".parquet", ".arrow"
_SCANNED = 256  # rows at once
_LARGEST_GROUP = 1 << 30  # bytes
_KEPT = 2  # row groups, or tables


def is_image_table(file: Path) -> bool:
    """Say whether a Parquet file holds images, rather than the paths of images; False where it cannot be read."""
    try:
        from pyarrow import parquet

        return has_images(parquet.read_schema(file))
    except Exception:  # whoever reads it as a manifest says what is wrong
        return False


def open_parquet(
    spec: str,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> EncodedSource:
    """Open Parquet files with a column of images.

    The column is a struct of ``bytes`` and ``path``, as Hugging Face has it, or bytes of image files. The column
    ``label``, or the only one of class labels, holds the labels; other columns of numbers or text are parameters.
    Identifiers are the paths in the structs, else a column ``path``, ``file_name``, ``key`` or ``id``, else the numbers
    of the rows, counted over all files.

    Parameters
    ----------
    spec : str
        A file or URL, or a pattern of them: ``data/test-*.parquet``.
    transform, class_names
        See :func:`hudd.data.open_source`.

    Raises
    ------
    UsageError
        If a file cannot be read or has no column of images, an identifier occurs twice, or a label is no class.
    """
    return _open_tables(spec, [Place(name) for name in expand(spec)], ParquetReader(), transform, class_names)


def open_saved(
    folder: Path,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
) -> EncodedSource:
    """Open what ``Dataset.save_to_disk`` of Hugging Face's ``datasets`` wrote; see :func:`open_parquet`.

    Raises
    ------
    UsageError
        If it holds several splits, or refers to rows of files elsewhere.
    """
    splits = folder / "dataset_dict.json"
    if splits.is_file():
        names = _json(splits).get("splits") or []
        example = "test" if "test" in names else next(iter(names), "test")
        raise UsageError(
            f"'{folder}' holds the splits {first(map(str, names))}; name one: '{folder}/{example}'."
        )
    state = _json(folder / "state.json") if (folder / "state.json").is_file() else {}
    if state.get("_indices_data_files"):
        raise UsageError(
            f"'{folder}' chooses rows of a larger table; save it by dataset.flatten_indices().save_to_disk(...)."
        )
    listed = [str(one.get("filename")) for one in state.get("_data_files") or ()]
    files = [folder / Path(name).name for name in listed] or sorted(folder.glob(f"*{ARROW_SUFFIX}"))
    places = [Place(str(file)) for file in files]
    return _open_tables(str(folder), places, ArrowReader(), transform, class_names)


class ParquetReader:
    """Reads images out of Parquet files, a row group at a time; those read last are kept."""

    kind = "parquet"

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._lock = Lock()

    def __call__(self, place: Place, index: Index, rows: np.ndarray) -> list[bytes]:
        """Return the bytes of images; see :class:`hudd.data.encoded.Reader`."""
        numbers = index.place[rows]
        with self._lock:  # a row group is decoded once, for all threads that want images of it
            found: dict[int, bytes] = {}
            missing = numbers
            for (name, _), (start, images) in self._kept.items():
                if name == place.name:
                    missing = self._take(missing, start, images, found)
            if missing.size:
                with self.opened(place) as file:
                    self._read(place, file, missing, found)
        return [found[number] for number in numbers.tolist()]

    def _read(self, place: Place, file: Any, numbers: np.ndarray, found: dict[int, bytes]) -> None:
        about = file.metadata
        ends = np.cumsum([about.row_group(group).num_rows for group in range(about.num_row_groups)])
        features = features_of(file.schema_arrow, place.name)
        for group in np.unique(np.searchsorted(ends, numbers, side="right")).tolist():
            _check_group(about.row_group(group).total_byte_size, place)
            images = contents_of(
                file.read_row_group(group, columns=[features.image])[features.image], features
            )
            start = int(ends[group - 1]) if group else 0
            self._kept[place.name, group] = (start, images)
            self._take(numbers, start, images, found)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    @staticmethod
    def _take(numbers: np.ndarray, start: int, images: Any, found: dict[int, bytes]) -> np.ndarray:
        """Take what a row group has of some rows; return the others."""
        inside = (numbers >= start) & (numbers < start + len(images))
        for number in numbers[inside].tolist():
            found[number] = images[number - start].as_py() or b""
        return numbers[~inside]

    @contextmanager
    def opened(self, place: Place) -> Iterator[Any]:
        """Open a file."""
        from pyarrow import parquet

        with place.stream() as stream, parquet.ParquetFile(stream) as file:
            yield file

    def schema(self, place: Place) -> Any:
        """Return the columns of a file."""
        with self.opened(place) as file:
            return file.schema_arrow

    def batches(self, place: Place, columns: list[str]) -> Iterator[Any]:
        """Yield the rows of a file in record batches."""
        with self.opened(place) as file:
            about = file.metadata
            for group in range(about.num_row_groups):
                _check_group(about.row_group(group).total_byte_size, place)
            yield from file.iter_batches(_SCANNED, columns=columns)


class ArrowReader:
    """Reads images out of Arrow files on this machine, where they lie."""

    kind = "arrow"

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def __call__(self, place: Place, index: Index, rows: np.ndarray) -> list[bytes]:
        """Return the bytes of images; see :class:`hudd.data.encoded.Reader`."""
        with self._lock:
            if place.name not in self._kept:
                table = self.table(place)
                features = features_of(table.schema, place.name)
                self._kept[place.name] = contents_of(table[features.image], features)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            images = self._kept[place.name]
        return [images[number].as_py() or b"" for number in index.place[rows].tolist()]

    def table(self, place: Place) -> Any:
        """Return the table of a file, mapped into memory."""
        import pyarrow as pa

        mapped = pa.memory_map(place.name)
        try:
            return pa.ipc.open_stream(mapped).read_all()
        except pa.ArrowInvalid:
            mapped.seek(0)
            return pa.ipc.open_file(mapped).read_all()  # the other of Arrow's two formats

    def schema(self, place: Place) -> Any:
        """Return the columns of a file."""
        return self.table(place).schema

    def batches(self, place: Place, columns: list[str]) -> Iterator[Any]:
        """Yield the rows of a file in record batches."""
        yield from self.table(place).select(columns).to_batches(max_chunksize=_SCANNED)


def contents_of(column: Any, features: Features) -> Any:
    """Return the bytes of images in a column, chunk by chunk."""
    import pyarrow as pa

    if not features.is_struct:
        return column
    return pa.chunked_array([chunk.field("bytes") for chunk in column.chunks])


def _open_tables(
    spec: str,
    places: list[Place],
    read: ParquetReader | ArrowReader,
    transform: Callable[..., torch.Tensor] | None,
    class_names: Sequence[str] | None,
) -> EncodedSource:
    parts, names = [], dict[str, list[str]]()
    for place in places:
        with _explained(place):
            names[place.name] = features_of(read.schema(place), place.name).class_names
            parts.append(index_of(place, read.kind, lambda place: _scanned(place, read)))
    own = next(iter(names.values()), [])
    other = next((name for name, found in names.items() if found != own), None)
    if other is not None:
        raise UsageError(
            f"'{places[0].name}' and '{other}' name the classes of their labels in different ways; write both with the "
            "same class names."
        )
    index = Index.joined(parts) if parts else Builder(spec).finished()
    if not len(index):
        raise UsageError(f"'{spec}' holds no images; name other files.")
    if index.passed.get(UNNAMED):
        name = Path(spec)
        stem = (name.parent if any(sign in name.name for sign in "*?[{") else name).name
        index.names = Identifiers.of(f"{stem}[{row}]" for row in range(len(index)))

    file_of, where = tellers(places, parts, index)
    check_distinct(index, file_of)
    label = index.columns.pop("label", None)
    assignment = _assign(label, own, class_names, where, len(index))
    parameters = {name: column.values() for name, column in index.columns.items()}
    source = EncodedSource(
        places, [len(part) for part in parts], index, read, assignment, parameters, transform
    )
    if label is None:
        source.without_labels = f"'{spec}' has no column 'label'; name the column of the classes so"
    if index.passed.get("nested"):
        source.remarks = [f"columns of '{spec}' that hold neither numbers nor text were passed over."]
    return source


def _assign(
    label: Column | None,
    own: list[str],
    class_names: Sequence[str] | None,
    where: Callable[[int], str],
    count: int,
) -> Assignment:
    if label is None or label.texts or not own:
        return assign(label, class_names, where, count)
    numbers = np.where(np.isnan(label.numbers), -1, label.numbers)
    return renumber(numbers.astype(np.int64), own, class_names, where)


def _scanned(place: Place, read: ParquetReader | ArrowReader) -> Index:
    """Read a table through."""
    features = features_of(read.schema(place), place.name)
    found = Builder(place.name)
    for _ in features.nested:
        found.pass_over("nested")
    columns = [features.image, *([features.label] if features.label else []), *features.parameters]
    for batch in read.batches(place, columns):
        add_rows(found, batch, features, len(found), Path(place.name).name)
    return found.finished()


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except HuddError:
        raise
    except ImportError as error:
        raise UsageError(
            f"reading '{place.name}' needs pyarrow; run pip install '.[parquet]' in hudd's source tree, or write the "
            "images to tar archives."
        ) from error
    except Exception as error:  # pyarrow has no one error for a file that it cannot read
        reason = f"{error or type(error).__name__}".strip().partition("\n")[0].rstrip(".")
        raise UsageError(f"'{place.name}' cannot be read ({reason}); write it again.") from error


def _check_group(size: int, place: Place) -> None:
    if size > _LARGEST_GROUP:
        raise UsageError(
            f"'{place.name}' has a row group of {size / 2**30:.1f} GiB, which is read at once; write it with "
            "row groups of about 1,000 images (row_group_size=1000)."
        )


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"'{file}' cannot be read ({error}); save the dataset again.") from error
    return found if isinstance(found, dict) else {}
