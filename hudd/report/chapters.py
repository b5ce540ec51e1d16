"""Each cluster's part of the report: its pictures, with what is written under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from hudd import plot
from hudd.language import gettext as _
from hudd.progress import progress
from hudd.report.album import Album, Shot
from hudd.report.charts import as_svg
from hudd.report.facts import Cluster, Facts
from hudd.report.material import Material
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.data import ImageSource
    from hudd.review.view import View


_PAGE, _UNSAFE = 12, 600  # pictures of a page of the unsafe set, and of all pages in a file
_NAMED = 20_000  # errors, and unsafe images, that are listed by name


@dataclass(frozen=True)
class Card:
    """A picture with what is written under it; ``overlays`` are in the order of the page's layers."""

    shot: Shot
    overlays: list[Shot]
    path: str
    truth: str
    prediction: str
    score: float
    row: int = -1  # of an error, its place among the errors
    distance: float = 0.0
    medoid: bool = False
    fixed: bool | None = None
    outside: bool = False
    regressed: float = 0.0


@dataclass(frozen=True)
class Mean:
    """The mean of a cluster's shown pictures, and of their heatmaps, each first brought to its own scale."""

    shot: Shot
    overlays: list[Shot]


@dataclass(frozen=True)
class Chapter:
    """A cluster's part of the page.

    ``rest`` names the members without a picture: error row, path, truth, prediction; ``unsafe_rest`` likewise the
    unsafe images, without a row. Of more than can be listed, ``unnamed`` and ``unsafe_unnamed`` are left out.
    """

    cluster: Cluster
    cards: list[Card]
    mean: Mean | None
    rest: list[tuple[int, str, str, str]]
    spread: Markup | None
    unsafe: list[Card]
    unsafe_rest: list[tuple[str, str, str]]
    unnamed: int = 0
    unsafe_unnamed: int = 0


def compose(study: View, facts: Facts, album: Album, layers: list[str], images: int) -> list[Chapter]:
    """Return the clusters' chapters, those of the highest risk first; their pictures go into the album.

    Parameters
    ----------
    study : View
        The study.
    facts : Facts
        What was gathered from it.
    album : Album
        Takes the pictures.
    layers : list of str
        Layers whose heatmaps can be laid over the pictures.
    images : int
        Members shown of each cluster.
    """
    material = Material(study, [cluster.rows[:images] for cluster in facts.clusters], layers)
    unsafe = _unsafe_cards(study, facts, album)
    chapters = []
    with progress("report", len(facts.clusters), unit="clusters") as advance:
        listed = _listed(len(facts.errors), facts)
        for place, cluster in enumerate(facts.clusters):
            rows, rest = cluster.rows[:images], cluster.rows[images : images + listed].tolist()
            chapters.append(
                Chapter(
                    cluster,
                    _error_cards(facts, album, cluster, material, place, rows, len(layers)),
                    _mean(album, cluster, material, place, len(layers)) if len(rows) > 1 else None,
                    [(row, *_named(facts, int(facts.errors[row]))) for row in rest],
                    _spread(facts, cluster),
                    *unsafe.get(cluster.label, ([], [])),
                    unnamed=len(cluster.rows) - len(rows) - len(rest),
                    unsafe_unnamed=len(cluster.unsafe)
                    - sum(len(part) for part in unsafe.get(cluster.label, ())),
                )
            )
            advance(1)
    return chapters


def regressed_cards(study: View, facts: Facts, album: Album, most: int = 12) -> list[Card]:
    """Return test images that were right and are wrong after retraining, those of most runs first."""
    if not facts.retrained:
        return []
    regressed, source = facts.retrained[0].regressed, study.source("test")
    order = np.argsort(-regressed, kind="stable")[: min(most, int((regressed > 0).sum()))]
    cards = []
    for at in order.tolist():
        path, truth, prediction = _named(facts, at)
        shot = album.picture(f"regressed-{at}", partial(_drawn, study, "test", source, at))
        score = float(facts.test.score[at])
        cards.append(Card(shot, [], path, truth, prediction, score, regressed=float(regressed[at])))
    return cards


def _error_cards(
    facts: Facts,
    album: Album,
    cluster: Cluster,
    material: Material,
    place: int,
    rows: np.ndarray,
    layers: int,
) -> list[Card]:
    cards = []
    for at, row in enumerate(rows.tolist()):
        path, truth, prediction = _named(facts, int(facts.errors[row]))
        overlays = [
            album.overlay(f"heat-{layer}-{row}", partial(material.heatmap, layer, place, at), lead=not at)
            for layer in range(layers)
        ]
        cards.append(
            Card(
                shot=album.picture(f"error-{row}", partial(material.picture, place, at), lead=not at),
                overlays=overlays,
                path=path,
                truth=truth,
                prediction=prediction,
                score=float(facts.test.score[facts.errors[row]]),
                row=row,
                distance=float(cluster.distance[at]),
                medoid=not at,
                fixed=bool(facts.retrained[0].recovered[row] > 0.5) if facts.retrained else None,
            )
        )
    return cards


def _drawn(study: View, split: str, source: ImageSource, row: int) -> np.ndarray:
    return study.drawn(split, source.picture(row), row)


def _named(facts: Facts, at: int) -> tuple[str, str, str]:
    """Path, true class and answer of a test image."""
    truth, prediction = (
        facts.class_name(int(column[at])) for column in (facts.test.label, facts.test.prediction)
    )
    return printable(facts.test.path[at]), truth, prediction


def _mean(album: Album, cluster: Cluster, material: Material, place: int, layers: int) -> Mean:
    shot = album.picture(f"mean-{cluster.label}", partial(material.mean_picture, place))
    overlays = [
        album.overlay(f"mean-{layer}-{cluster.label}", partial(material.mean_heatmap, layer, place))
        for layer in range(layers)
    ]
    return Mean(shot, overlays)


def _unsafe_cards(
    study: View, facts: Facts, album: Album
) -> dict[int, tuple[list[Card], list[tuple[str, str, str]]]]:
    """Return the images chosen for each cluster, the nearest first: those with a picture, and the names of others."""
    if facts.unsafe is None or not len(facts.unsafe):
        return {}
    split, labels, source = study.split("improvement"), study.labels, study.source("improvement")
    most, listed = len(facts.unsafe), _listed(len(facts.unsafe), facts)
    pictured = _UNSAFE if album.eager else _NAMED
    if most > pictured:
        most = max(1, pictured // len(facts.clusters) // _PAGE) * _PAGE

    def named(image: int) -> tuple[str, str, str]:
        answer = facts.class_name(int(split.prediction[image]))
        return printable(split.path[image]), facts.class_name(int(labels[image])), answer

    found = {}
    for cluster in facts.clusters:
        order = cluster.unsafe[np.argsort(facts.unsafe.distance[cluster.unsafe], kind="stable")]
        images = facts.unsafe.image[order].tolist()
        cards = [
            Card(
                album.picture(f"unsafe-{image}", partial(_drawn, study, "improvement", source, image)),
                [],
                *named(image),
                score=float(split.score[image]),
                distance=float(facts.unsafe.distance[at]),
                outside=bool(facts.unsafe.outside[at]),
            )
            for at, image in zip(order[:most].tolist(), images)
        ]
        found[cluster.label] = cards, [named(image) for image in images[most : most + listed]]
    return found


def _listed(count: int, facts: Facts) -> int:
    """How many of so many images are listed by name, of each cluster at most."""
    return count if count <= _NAMED else max(1, _NAMED // len(facts.clusters))


def _spread(facts: Facts, cluster: Cluster, most: int = 3) -> Markup | None:
    """Draw the parameters that vary least in the cluster, against all errors."""
    told = cluster.parameters[:most]
    if not told:
        return None
    values = {one.title: facts.test.parameters[one.name][facts.errors].astype(float) for one in told}
    members = np.zeros(len(facts.errors), bool)
    members[cluster.rows] = True
    words = _("Spread in cluster {number} against all errors of {parameters}")
    description = words.format(number=cluster.label, parameters=", ".join(values))
    return as_svg(plot.parameters(values, members), description)
