"""Each cluster's part of the report: its pictures, with what is written under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from PIL import Image

from hudd import plot
from hudd.progress import progress
from hudd.report.album import Album, Shot
from hudd.report.charts import as_svg
from hudd.report.facts import Cluster, Facts
from hudd.report.text import shown

if TYPE_CHECKING:
    from hudd.study import Study


@dataclass(frozen=True)
class Card:
    """A picture with what is written under it; ``overlays`` are in the order of the page's layers."""

    shot: Shot
    overlays: list[Shot]
    path: str
    truth: str
    prediction: str
    score: float
    distance: float
    medoid: bool = False
    mended: bool | None = None
    outside: bool = False


@dataclass(frozen=True)
class Mean:
    """The mean of a cluster's shown pictures, and of their heatmaps, each first brought to its own scale."""

    shot: Shot
    overlays: list[Shot]


@dataclass(frozen=True)
class Chapter:
    """A cluster's part of the page. ``rest`` names the members without a picture: path, truth, prediction."""

    cluster: Cluster
    cards: list[Card]
    mean: Mean | None
    rest: list[tuple[str, str, str]]
    spread: Markup | None
    unsafe: list[Card]


def compose(study: Study, facts: Facts, album: Album, layers: list[str], images: int) -> list[Chapter]:
    """Return the clusters' chapters, those of the highest risk first; their pictures go into the album.

    Parameters
    ----------
    study : Study
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
    rows = np.concatenate([c.rows[:images] for c in facts.clusters] or [np.empty(0, np.int64)])
    heatmaps = [study.spatial_heatmaps(rows, layer) if len(rows) else np.empty(0) for layer in layers]
    ends = np.cumsum([min(images, c.size) for c in facts.clusters])
    unsafe = _unsafe_cards(study, facts, album)
    chapters = []
    with progress("report", len(facts.clusters), unit="clusters") as advance:
        for cluster, end in zip(facts.clusters, ends):
            some = slice(end - min(images, cluster.size), end)
            pictures = [study.source("test").picture(int(at)) for at in facts.errors[rows[some]]]
            relevance = [heatmap[some] for heatmap in heatmaps]
            chapters.append(
                Chapter(
                    cluster,
                    _error_cards(facts, album, cluster, pictures, relevance),
                    _mean(album, pictures, relevance) if len(pictures) > 1 else None,
                    [_named(facts, at) for at in facts.errors[cluster.rows[images:]].tolist()],
                    _spread(facts, cluster),
                    unsafe.get(cluster.label, []),
                )
            )
            advance(1)
    return chapters


def _error_cards(
    facts: Facts, album: Album, cluster: Cluster, pictures: list[np.ndarray], relevance: list[np.ndarray]
) -> list[Card]:
    cards = []
    for place, (row, picture) in enumerate(zip(cluster.rows.tolist(), pictures)):
        at, lead = int(facts.errors[row]), place == 0
        path, truth, prediction = _named(facts, at)
        cards.append(
            Card(
                shot=album.picture(picture, lead=lead),
                overlays=[album.overlay(heatmap[place], lead=lead) for heatmap in relevance],
                path=path,
                truth=truth,
                prediction=prediction,
                score=float(facts.test.score[at]),
                distance=float(cluster.distance[place]),
                medoid=lead,
                mended=bool(facts.retrained[0].recovered[row] > 0.5) if facts.retrained else None,
            )
        )
    return cards


def _named(facts: Facts, at: int) -> tuple[str, str, str]:
    """Path, true class and answer of a test image."""
    truth, prediction = (
        facts.class_name(int(column[at])) for column in (facts.test.label, facts.test.prediction)
    )
    return shown(facts.test.path[at]), truth, prediction


def _mean(album: Album, pictures: list[np.ndarray], relevance: list[np.ndarray]) -> Mean:
    height, width = pictures[0].shape[:2]
    same = [np.asarray(Image.fromarray(picture).resize((width, height)), np.float32) for picture in pictures]
    overlays = [
        album.overlay(np.mean([heatmap / plot.relevance_scale(heatmap) for heatmap in layer], axis=0))
        for layer in relevance
    ]
    return Mean(album.picture(np.rint(np.mean(same, axis=0)).astype(np.uint8)), overlays)


def _unsafe_cards(study: Study, facts: Facts, album: Album, most: int = 12) -> dict[int, list[Card]]:
    """Return the first few images chosen for each cluster, the nearest first."""
    if facts.unsafe is None or not len(facts.unsafe):
        return {}
    split, labels, source = study.split("improvement"), study.labels, study.source("improvement")
    cards: dict[int, list[Card]] = {}
    for cluster in facts.clusters:
        order = cluster.unsafe[np.argsort(facts.unsafe.distance[cluster.unsafe], kind="stable")][:most]
        cards[cluster.label] = [
            Card(
                shot=album.picture(source.picture(image)),
                overlays=[],
                path=shown(split.path[image]),
                truth=facts.class_name(int(labels[image])),
                prediction=facts.class_name(int(split.prediction[image])),
                score=float(split.score[image]),
                distance=float(facts.unsafe.distance[at]),
                outside=bool(facts.unsafe.outside[at]),
            )
            for at, image in zip(order.tolist(), facts.unsafe.image[order].tolist())
        ]
    return cards


def _spread(facts: Facts, cluster: Cluster, most: int = 3) -> Markup | None:
    """Draw the parameters that vary much less in the cluster than over all errors."""
    names = [parameter.name for parameter in cluster.parameters if parameter.ratio < 0.5][:most]
    if not names:
        return None
    values = {shown(name): facts.test.parameters[name][facts.errors].astype(float) for name in names}
    members = np.zeros(len(facts.errors), bool)
    members[cluster.rows] = True
    words = f"Spread in cluster {cluster.label} against all errors of {', '.join(values)}"
    return as_svg(plot.parameters(values, members), words)
