"""Labels for the selected images: written out to be filled in, read back into the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hudd import selection
from hudd.errors import HuddError, UsageError
from hudd.retraining import least_p_value
from hudd.store import drop, read_values, write_dataset
from hudd.store.files import write_error
from hudd.study.fingerprint import digest_picture
from hudd.study.steps.retrain import rows_to_label
from hudd.study.study import Study

_COLUMNS = {
    "path": "identifier of an improvement image that was labelled after the fact",
    "label": "class number",
    "image": "its row of the improvement split; -1: that has it no longer, or has another image of its name",
    "content": "SHA-256 of its pixels",
}


def export_labels(
    study: Study,
    path: str | Path,
    *,
    unlabelled_only: bool = False,
    for_comparison: bool = False,
    overwrite: bool = False,
) -> int:
    """Write the selected images, with what the DNN says about them, to be labelled.

    Parameters
    ----------
    study : Study
        With a selection.
    path : str or Path
        ``.csv``: a table to fill in. ``.json``: tasks for Label Studio. Anything else: a folder of pictures to be
        sorted into one folder per class.
    unlabelled_only : bool
        Leave out what has a label.
    for_comparison : bool
        Write all images that the strategies to be compared (`modes`) pay labels for: the selected ones first, the
        others without a cluster.
    overwrite : bool
        Write a table or tasks again where the file exists, with all that was filled in.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    UsageError
        If there is such a file and it is not to be written again, or such a folder and it is not empty, or no
        strategies are to be compared.
    HuddError
        If the path cannot be written, or pictures are wanted and the improvement set is no longer what was tested.
    """
    check_classes(study)
    path = Path(path)
    if path.suffix in (".csv", ".json") and path.exists() and not overwrite:
        raise UsageError(
            f"'{path}' exists, perhaps with labels filled in; name another file, or give `overwrite=True`."
        )
    rows = compared_rows(study) if for_comparison else study.selection.image
    if unlabelled_only:
        rows = rows[study.labels[rows] < 0]
    split, unsafe, names = study.split("improvement"), study.selection, np.array(study.class_names, object)
    place = {int(image): at for at, image in enumerate(unsafe.image)}
    chosen = [place.get(int(row)) for row in rows]
    paths = np.array(split.path, object)[rows].tolist()
    labels = ["" if label < 0 else str(names[label]) for label in study.labels[rows]]
    columns = {
        "cluster": ["" if at is None else int(unsafe.cluster[at]) for at in chosen],
        "distance": ["" if at is None else float(unsafe.distance[at]) for at in chosen],
        "prediction": names[split.prediction[rows]].tolist(),
        "entropy": split.entropy[rows].tolist(),
    }
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            selection.export_csv(path, paths, columns, labels=labels)
        elif path.suffix == ".json":
            scores, predictions = split.score[rows].tolist(), columns["prediction"]
            selection.export_label_studio(
                path, paths, columns, labels=labels, predictions=predictions, scores=scores
            )
        else:
            _check_images(study)
            source = study.source("improvement")
            selection.export_folder(
                path, paths, lambda at: source.picture(int(rows[at])), study.class_names, labels=labels
            )
    except OSError as error:
        raise write_error(path, error) from error
    return len(paths)


def compared_rows(study: Study) -> np.ndarray:
    """Rows of the improvement set that a comparison of strategies needs a label for, the selected ones first.

    Raises
    ------
    UsageError
        If no strategies are to be compared.
    """
    if not study.settings.modes:
        raise UsageError(
            f"no strategies are to be compared in '{study.path}'; 'hudd retrain {study.path} --compare NAMES' says "
            "which."
        )
    return rows_to_label(study.inputs, study.journal)


def comparison_state(study: Study) -> dict[str, dict[str, int]]:
    """Return how many images the comparison needs a label of, and how many have one."""
    rows = compared_rows(study)
    return {"compared": {"images": len(rows), "labelled": int((study.labels[rows] >= 0).sum())}}


def comparison_needs(study: Study) -> str:
    """Say how many labels the comparison of strategies needs, how many are missing, and the least p it can find."""
    rows, settings = compared_rows(study), study.settings
    missing = int((study.labels[rows] < 0).sum())
    names = ", ".join(settings.modes)
    return (
        f"Comparing {names} by {settings.runs} runs each needs labels of {len(rows):,} images, {missing:,} of them "
        f"missing; the smallest p of {settings.runs} against {settings.runs} runs is "
        f"{least_p_value(settings.runs):.2g}."
    )


def import_labels(study: Study, path: str | Path, *, overwrite: bool = False) -> int:
    """Read labels of improvement images from a CSV, a Label Studio export or a sorted folder.

    Parameters
    ----------
    study : Study
        Whose improvement set the images belong to.
    path : str or Path
        What :func:`export_labels` wrote, filled in.
    overwrite : bool
        Let new labels replace different ones that are known already.

    Returns
    -------
    int
        Number of labels that are new or different.

    Raises
    ------
    UsageError
        If anything in it cannot be used; the study then stays as it was.
    HuddError
        If the study has no selection yet, or the improvement set is no longer what was tested.
    """
    check_classes(study)
    if not study.has("splits/improvement"):
        raise HuddError(
            f"'{study.path}' has no improvement set to label yet; 'hudd select {study.path}' comes first."
        )
    with study.journal.locked():  # what is known must not change until the labels are in
        split, known = study.split("improvement"), study.labels
        labels = selection.import_labels(
            path, split.path, study.class_names, known=known, overwrite=overwrite
        )
        _check_images(study)
        _write(study, split.path, labels, np.flatnonzero(labels != split.label))
        changed = int((labels != known).sum())
        study.journal.log("labelled", file=str(path), labels=changed)
    return changed


def _write(study: Study, paths: Sequence[str], labels: np.ndarray, rows: np.ndarray) -> None:
    """Write the labels of these rows; those of images that the split has no longer are kept: they may come back."""
    source = study.source("improvement")
    found = {
        "path": np.array(paths, dtype=object)[rows],
        "label": labels[rows],
        "image": rows,
        "content": np.array([digest_picture(source, row) for row in rows.tolist()], dtype=object),
    }
    with study.writing() as h5:
        if "labels/content" in h5:
            old = {name: read_values(h5[f"labels/{name}"]) for name in _COLUMNS}
            found = {name: np.concatenate([found[name], old[name][old["image"] < 0]]) for name in _COLUMNS}
        drop(h5, ["labels"])
        group = h5.create_group("labels")
        for name, about in _COLUMNS.items():
            write_dataset(group, name, found[name], dims=("path",), scale=name == "path", description=about)


def check_classes(study: Study) -> None:
    """Refuse to label by classes where the task has none."""
    if not study.task.has_classes:
        raise UsageError(
            f"a task of {study.task_name} has no classes to label by; write the targets of the images that "
            "'hudd export --to csv' lists as selected into the data of the improvement set."
        )


def _check_images(study: Study) -> None:
    """Refuse to work with images that took the place of those that were tested: they may have the same names."""
    if study.inputs.data_fingerprints["improvement"] != study.split("improvement").fingerprint:
        raise HuddError(
            f"the improvement set has changed since the DNN was tested on it; 'hudd select {study.path}' comes first."
        )
