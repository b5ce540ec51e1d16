"""One door to every kind of image data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from hudd.data.arrays import open_archive
from hudd.data.arrow import PARQUET_SUFFIX, is_image_table, open_parquet, open_saved
from hudd.data.base import ImageSource
from hudd.data.coco import ANNOTATION_SUFFIX, annotate, open_coco, read_coco
from hudd.data.containers import is_saved_dataset, pattern_in
from hudd.data.decoding import Decoder, check_decoder, preferred_decoder
from hudd.data.encoded import EncodedSource
from hudd.data.factory import open_factory
from hudd.data.files import FileSource
from hudd.data.folder import open_folder
from hudd.data.manifest import MANIFEST_SUFFIXES, open_manifest
from hudd.data.places import is_url
from hudd.data.webdataset import TAR_SUFFIX, open_tar
from hudd.errors import UsageError
from hudd.lazy import torch
from hudd.specs import is_factory

_KINDS = "an image folder, a .csv, .tsv or .parquet manifest, an .npz archive, .tar or .parquet files of images, a "
_KINDS += ".json of COCO keypoints, or module:factory"

_LONGEST = 255  # characters of a file's name


def open_source(
    spec: str | Path,
    *,
    transform: Callable[..., torch.Tensor] | None = None,
    class_names: Sequence[str] | None = None,
    exif_orient: bool = False,
    decoder: Decoder | None = None,
) -> ImageSource:
    """Open image data by its spec.

    ==============================  =======================================================================
    spec                            what it is
    ==============================  =======================================================================
    ``data/test``                   image tree, one folder per class (or unlabelled images in one folder)
    ``data/test.csv``, ``.parquet`` manifest with columns path, label and any parameters (also ``.tsv``)
    ``data/manifest.csv::test``     the rows of a manifest whose column ``split`` says ``test``
    ``data/test.json``              landmarks as COCO keypoints, of image files relative to its folder
    ``data/test::keypoints.json``   a folder or manifest, with landmarks as COCO keypoints
    ``data/test.npz``               arrays images, labels, class_names and any parameters
    ``data/test-{000..099}.tar``    images with labels next to them, as WebDataset has it; also ``data/*.tar``
    ``data/test-*.parquet``         tables with a column of images, as Hugging Face has them
    ``data/saved``                  what ``Dataset.save_to_disk`` of Hugging Face's ``datasets`` wrote
    ``s3://bucket/test-*.tar``      the same behind a URL; also ``gs://``, ``http://`` and ``https://``
    ``package.module:factory``      your own code, see :func:`hudd.data.factory.open_factory`
    ``path/file.py:factory``        the same, from a file
    ==============================  =======================================================================

    Parameters
    ----------
    spec : str or Path
        As above.
    transform : Transform or callable, optional
        From pixels to what the network takes; None is ``Transform()``.
    class_names : sequence of str, optional
        The network's classes in order; None takes those of the data.
    exif_orient : bool
        Turn and mirror image files as their EXIF data say.
    decoder : {"simplejpeg", "pillow"}, optional
        What decodes JPEG files; None takes simplejpeg where it is installed. The pixels are the same.

    Raises
    ------
    UsageError
        If there is nothing of that kind at `spec`, or what is there cannot be used.
    """
    source = _open(spec, transform, class_names)
    if isinstance(source, (FileSource, EncodedSource)):
        source.exif_orient, source.decoder = exif_orient, decoder or preferred_decoder()
        check_decoder(source.decoder)
    return source


def _open(
    spec: str | Path, transform: Callable[..., torch.Tensor] | None, class_names: Sequence[str] | None
) -> ImageSource:
    text = str(spec)
    if "\0" in text or max(map(len, Path(text).parts), default=0) > _LONGEST:
        raise UsageError(f"'{text}' cannot be the name of a file; give {_KINDS}.")
    name, separator, split = text.rpartition("::")
    if separator and split.lower().endswith(ANNOTATION_SUFFIX):
        images = _open(name, transform, class_names)
        if not isinstance(images, FileSource):
            raise UsageError(
                f"'{name}' holds no image files; '{split}' annotates those of a folder or a manifest."
            )
        return annotate(images, read_coco(_existing(split)))
    if separator and Path(name).suffix.lower() in MANIFEST_SUFFIXES:
        return open_manifest(_existing(name), split, transform=transform, class_names=class_names)
    path = Path(text)
    if path.is_dir() and is_saved_dataset(path):
        return open_saved(path, transform=transform, class_names=class_names)
    files = pattern_in(path, (TAR_SUFFIX, PARQUET_SUFFIX)) if path.is_dir() else text
    if files is not None and _holds_images(files):
        take = open_tar if _suffix(files) == TAR_SUFFIX else open_parquet
        return take(files, transform=transform, class_names=class_names)
    if path.is_dir():
        return open_folder(path, transform=transform, class_names=class_names)
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return open_manifest(_existing(text), transform=transform, class_names=class_names)
    if path.suffix.lower() == ANNOTATION_SUFFIX:
        return open_coco(_existing(text), transform=transform)
    if path.suffix.lower() == ".npz":
        return open_archive(_existing(text), transform=transform, class_names=class_names)
    if is_factory(text) and not path.exists():
        return open_factory(text, transform=transform, class_names=class_names)
    raise UsageError(
        f"'{text}' is a file of a kind not known here; give {_KINDS}." if path.exists() else _missing(text)
    )


def _holds_images(spec: str) -> bool:
    """Say whether a spec names files that hold many images each."""
    suffix = _suffix(spec)
    if is_url(spec) and suffix not in (TAR_SUFFIX, PARQUET_SUFFIX):
        raise UsageError(f"'{spec}' is of a kind that is not read from a URL; give .tar or .parquet files.")
    if suffix == TAR_SUFFIX or is_url(spec):
        return True
    return suffix == PARQUET_SUFFIX and (
        is_image_table(Path(spec)) if Path(spec).exists() else any(sign in spec for sign in "*?[{")
    )


def _suffix(spec: str) -> str:
    return PurePosixPath(spec.partition("?")[0] if is_url(spec) else spec).suffix.lower()


def _existing(name: str) -> Path:
    if not Path(name).is_file():
        raise UsageError(_missing(name))
    return Path(name)


def _missing(name: str) -> str:
    return f"there is no data at '{name}'; give {_KINDS}."
