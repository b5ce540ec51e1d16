"""A Label Studio project: the unsafe set to label, with the DNN's answers as pre-annotations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from hudd import selection
from hudd.errors import UsageError
from hudd.export.base import Exporter
from hudd.progress import progress
from hudd.summary import selection_table

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path, *, served_as: str = "label-studio") -> list[Path]:
    """Write ``tasks.json``, ``interface.xml`` and ``images/``; ``hudd label --import`` reads the labels back.

    Label Studio serves the pictures where ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`` is the directory's parent.

    `served_as` is the name that the folder will have.
    """
    if not results.task.has_classes:
        raise UsageError(
            f"format 'label-studio' asks for classes, and a task of {results.task_name} has none; choose csv or images."
        )
    unsafe, source = results.selection, results.source("improvement")
    table = selection_table(results)
    (folder / "images").mkdir()
    paths = table["path"].tolist()
    files = {path: f"{at:06d}.png" for at, path in enumerate(paths)}
    titles = [results.clusters.title(number) for number in unsafe.cluster.tolist()]
    with progress("Label Studio export", len(paths)) as advance:
        for path, image in zip(paths, unsafe.image.tolist()):
            Image.fromarray(source.picture(image)).save(folder / "images" / files[path])
            advance(1)
    interface = selection.label_studio_interface(results.class_names)
    (folder / "interface.xml").write_bytes(interface.encode("utf-8", "backslashreplace"))
    tasks = selection.export_label_studio(
        folder / "tasks.json",
        paths,
        {"cluster": titles, "distance": unsafe.distance.tolist()},
        labels=table["label"].tolist(),
        predictions=table["prediction"].tolist(),
        scores=results.split("improvement").score[unsafe.image].tolist(),
        url=lambda path: f"/data/local-files/?d={quote(served_as)}/images/{files[path]}",
    )
    return [tasks]


LABEL_STUDIO = Exporter("label-studio", _write, folder="label-studio")
