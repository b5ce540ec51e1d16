"""A Label Studio project: the unsafe set to label, with the DNN's answers as pre-annotations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from hudd import selection
from hudd.export.errors import cluster_title, made
from hudd.progress import progress
from hudd.review.reviewed import review_of
from hudd.store.files import write_error, write_whole
from hudd.summary import selection_table

if TYPE_CHECKING:
    from hudd.study import Study


def export_label_studio(study: Study, out: str | Path) -> Path:
    """Write ``tasks.json``, ``interface.xml`` and ``images/``; ``hudd label --import`` reads the labels back.

    Label Studio serves the pictures where ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`` is the directory's parent.

    Parameters
    ----------
    study : Study
        With a selection.
    out : str or Path
        Directory; made if need be, files of an older export are replaced.

    Returns
    -------
    Path
        ``tasks.json``.

    Raises
    ------
    HuddError
        If the study has no selection yet or the directory cannot be written.
    """
    unsafe, out = study.selection, Path(out)
    made(out / "images")
    table, source, review = selection_table(study), study.source("improvement"), review_of(study)
    paths = table["path"].tolist()
    files = {path: f"{at:06d}.png" for at, path in enumerate(paths)}
    titles = [cluster_title(number, review.of(number)["name"].strip()) for number in unsafe.cluster.tolist()]
    try:
        with progress("Label Studio export", len(paths)) as advance:
            for path, image in zip(paths, unsafe.image.tolist()):
                Image.fromarray(source.picture(image)).save(out / "images" / files[path])
                advance(1)
        write_whole(out / "interface.xml", selection.label_studio_interface(study.class_names).encode())
        return selection.export_label_studio(
            out / "tasks.json",
            paths,
            {"cluster": titles, "distance": unsafe.distance.tolist()},
            labels=table["label"].tolist(),
            predictions=table["prediction"].tolist(),
            scores=study.split("improvement").score[unsafe.image].tolist(),
            url=lambda path: f"/data/local-files/?d={quote(out.name)}/images/{files[path]}",
        )
    except OSError as error:
        raise write_error(out, error) from error
