"""Figures of a clustering: how many clusters and causes, how they join, where they lie, what sets them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from scipy.cluster import hierarchy
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh
from scipy.spatial.distance import squareform

from hudd.caches import require_kernel_cache
from hudd.clustering.causes import LEVEL
from hudd.errors import UsageError
from hudd.language import gettext as _
from hudd.plot.labels import apart
from hudd.plot.style import ACCENT, CARD, CYCLE, INK, LINE, MUTED, axes, new_figure, style
from hudd.text import clipped

if TYPE_CHECKING:
    from hudd.clustering import Clustering
    from hudd.summary import Causes

_SMALLEST = 1e-6  # p that is drawn: below, the tail of a normal distribution is a guess
_FEW = 100  # points whose map is exact at no cost; with a handful, iterations may find no start


def wicd(clustering: Clustering) -> Figure:
    """Draw the WICD curve with the chosen number of clusters, and its slope, on which the knee was found."""
    with style():
        figure = new_figure(6.4, 3.8)
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 2))
        for ax, values, name in (
            (upper, clustering.wicd_curve, "WICD"),
            (lower, clustering.gradient, _("slope")),
        ):
            ax.grid(axis="y")
            ax.axvline(clustering.k, color=CYCLE[1], linewidth=1, linestyle=(0, (4, 3)))
            ax.plot(clustering.ks, values, color=ACCENT, linewidth=1.6)
            at = np.searchsorted(clustering.ks, clustering.k)
            if at < len(values):
                ax.plot([clustering.k], [values[at]], "o", color=CYCLE[1], markersize=6)
            ax.set_ylabel(name)
        upper.annotate(
            f"k = {clustering.k}", (clustering.k, 1), xycoords=("data", "axes fraction"),
            xytext=(6, -10), textcoords="offset points", color=CYCLE[1], weight="bold",
        )  # fmt: skip
        wide = len(clustering.ks) > 60  # a knee near the left end could not be seen
        lower.set_xlabel(_("number of clusters k, log scale") if wide else _("number of clusters k"))
        if wide:
            lower.set_xscale("log")
            lower.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            lower.xaxis.set_minor_formatter(NullFormatter())
        else:
            lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def splits(causes: Causes) -> Figure:
    """Draw why there are so many causes: p of the split that sets each apart, and the smallest p of those inside it.

    p below 1e-6 are drawn at 1e-6.

    Parameters
    ----------
    causes : Causes
        Of a study. Those whose p are NaN have no dots.
    """
    numbers = causes.numbers
    with style():
        figure, ax = axes(6.4, 1.2 + 0.2 * len(numbers))
        ax.axvline(LEVEL, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        ax.annotate(
            f"p = {LEVEL:g}", (LEVEL, 0), xycoords=("data", "axes fraction"), va="bottom", xytext=(4, 3),
            textcoords="offset points", color=MUTED,
        )  # fmt: skip
        for values, mark, colour, words in (
            (causes.p_apart, "o", ACCENT, _("split that sets the cause apart")),
            (causes.p_inside, "s", CYCLE[1], _("smallest p of the splits inside it")),
        ):
            ax.plot(np.maximum(values, _SMALLEST), numbers, mark, color=colour, markersize=5, label=words)
        ax.set_xscale("log")
        ax.set_xlim(0.6 * _SMALLEST, 1.6)
        ax.xaxis.set_major_locator(LogLocator(base=100))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(len(numbers) + 0.95, 0.3)  # room for the level below the last
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=25))
        ax.set_xlabel(_("p: how often a single Gaussian is split as clearly, log scale"))
        ax.set_ylabel(_("cause"))
        ax.grid(axis="y")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handletextpad=0.2)
    return figure


def dendrogram(clustering: Clustering) -> Figure:
    """Draw how the clusters join: one leaf a cluster, heights those of the linkage."""
    tree, k = np.asarray(clustering.linkage, np.float64), int(clustering.k)
    labels = np.asarray(clustering.labels)
    with style():
        figure, ax = axes(min(14.0, max(6.4, 0.28 * k)), 3.2)
        if k > 1:
            member = _first_members(tree)
            hierarchy.dendrogram(
                tree,
                p=k,
                truncate_mode="lastp",
                ax=ax,
                color_threshold=0,
                above_threshold_color=ACCENT,
                leaf_label_func=lambda node: str(labels[member[node]]),
                leaf_rotation=0 if k <= 30 else 90,
                leaf_font_size=8,
            )
        ax.set_ylabel(_("linkage height"))
        ax.set_xlabel(_("cluster"))
        ax.spines["bottom"].set_visible(False)
        ax.grid(axis="y")
    return figure


def _first_members(tree: np.ndarray) -> list[int]:
    """Return one original observation under each node of SciPy's linkage matrix."""
    member = list(range(len(tree) + 1))
    for left in tree[:, 0].astype(int):
        member.append(member[left])
    return member


def embed(
    distances: np.ndarray, *, method: Literal["mds", "tsne", "umap"] = "mds", seed: int = 0
) -> np.ndarray:
    """Place images on a plane so that near heatmaps lie near each other.

    Parameters
    ----------
    distances : np.ndarray
        (N (N - 1) / 2,) condensed Euclidean distances, those that were clustered.
    method : {"mds", "tsne", "umap"}
        ``mds``: classical scaling (Torgerson 1952), the plane on which distances are kept best, exact and
        without a seed. ``tsne``: neighbourhoods kept rather than distances (van der Maaten and Hinton 2008).
        ``umap``: likewise (McInnes et al. 2018), with the optional package ``umap-learn``.
    seed : int
        Of ``tsne`` and ``umap``.

    Returns
    -------
    np.ndarray
        (N, 2) float64 positions.

    Raises
    ------
    UsageError
        If the method is unknown or its package is missing.
    """
    if method not in ("mds", "tsne", "umap"):
        raise UsageError(f"embedding method is '{method}'; choose one of: mds, tsne, umap.")
    matrix = squareform(np.asarray(distances, np.float64))
    count = len(matrix)
    if count < 4:
        return np.column_stack([np.arange(count, dtype=np.float64), np.zeros(count)])
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (count - 1) / 3)
        model = TSNE(metric="precomputed", init="random", random_state=seed, perplexity=perplexity)
        return np.asarray(model.fit_transform(matrix), np.float64)
    if method == "umap":
        require_kernel_cache("pynndescent", "method 'umap'")
        try:
            from umap import UMAP
        except ImportError:
            raise UsageError(
                "method 'umap' needs the package umap-learn; install it or choose mds or tsne."
            ) from None
        model = UMAP(metric="precomputed", random_state=seed, n_neighbors=min(15, count - 1), n_jobs=1)
        return np.asarray(model.fit_transform(matrix), np.float64)
    return _classical_scaling(matrix)


def _classical_scaling(matrix: np.ndarray) -> np.ndarray:
    gram = matrix**2
    gram -= gram.mean(0)
    gram -= gram.mean(1, keepdims=True)
    gram *= -0.5
    if not gram.any():  # all the same
        return np.zeros((len(gram), 2))
    # A fixed start and a fixed sign: the same distances give the same map.
    if len(gram) <= _FEW:
        values, vectors = eigh(gram, subset_by_index=(len(gram) - 2, len(gram) - 1))
    else:
        values, vectors = eigsh(gram, k=2, which="LA", v0=np.ones(len(gram)) + 1e-3 * np.arange(len(gram)))
    values = np.where(values > 1e-12 * values[-1], values, 0)  # of points on a line rounding leaves some
    vectors = vectors[:, ::-1] * np.sqrt(values[::-1])
    size = np.abs(vectors)
    strongest = vectors[(size >= (1 - 1e-9) * size.max(0)).argmax(0), [0, 1]]  # the first of equal ones
    return np.asarray(vectors * np.where(strongest < 0, -1, 1))


def embedding(points: np.ndarray, labels: np.ndarray, medoids: Sequence[int] | np.ndarray = ()) -> Figure:
    """Draw a map of the errors.

    Parameters
    ----------
    points : np.ndarray
        (N, 2) positions, e.g. from :func:`embed`.
    labels : np.ndarray
        (N,) cluster of each.
    medoids : sequence of int
        Rows whose cluster's number is written next to them.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(labels):
        raise UsageError(
            f"points have shape {points.shape}; they must be ({len(labels)}, 2), one row a label."
        )
    with style():
        figure, ax = axes(6.4, 5.2)
        colours = np.asarray(CYCLE)[np.asarray(labels) % len(CYCLE)]
        dots = ax.scatter(
            points[:, 0], points[:, 1], s=16 if len(points) < 1500 else 7, c=colours, alpha=0.75, lw=0
        )
        dots.set_gid("errors")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        _number(ax, points, labels, np.asarray(medoids, np.int64))
    return figure


def _number(ax: Axes, points: np.ndarray, labels: np.ndarray, medoids: np.ndarray) -> None:
    """Write the numbers of clusters next to their medoids, with a line to those that had to move away."""
    figure = ax.get_figure(root=True)
    if figure is None or not len(medoids):
        return
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())  # lines to labels change nothing
    figure.draw_without_rendering()  # places the axes
    texts, scale = [str(label) for label in labels[medoids]], figure.dpi / 72  # pixels a point
    sizes = scale * np.array([[5.6 * len(text) + 7, 14.5] for text in texts])
    room = (float(figure.bbox.width), float(figure.bbox.height))
    centres = apart(ax.transData.transform(points[medoids]), sizes, room)
    for row, text, (x, y) in zip(medoids, texts, ax.transData.inverted().transform(centres)):
        ax.plot([points[row, 0], x], [points[row, 1], y], color=MUTED, linewidth=0.7, clip_on=False)
        ax.text(
            x, y, text, ha="center", va="center", color=INK, weight="bold", fontsize=8,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": CARD, "edgecolor": LINE, "linewidth": 0.8},
        )  # fmt: skip


def parameters(values: Mapping[str, np.ndarray], members: np.ndarray) -> Figure:
    """Draw how parameters are spread in one cluster (line) against all errors (grey), each to its own peak.

    Parameters
    ----------
    values : mapping of str to np.ndarray
        Name to (N_errors,) numbers.
    members : np.ndarray
        (N_errors,) bool, the cluster's members.
    """
    with style():
        # A fixed layout: a report draws one of these for every cluster.
        rows = max(1, len(values))
        figure = new_figure(2.8, 1.25 * rows, layout=None)
        figure.subplots_adjust(0.03, 0.4 / (1.25 * rows), 0.97, 1 - 0.25 / (1.25 * rows), hspace=0.95)
        for at, (name, column) in enumerate(values.items()):
            ax = figure.add_subplot(len(values), 1, at + 1)
            known = np.isfinite(column)
            edges = _edges(column[known])
            ax.stairs(_heights(column[known], edges), edges, fill=True, color=LINE)
            ax.stairs(_heights(column[known & members], edges), edges, color=ACCENT, linewidth=1.5)
            ax.set_title(clipped(name, 28))
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
            ax.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _edges(values: np.ndarray) -> list[float]:
    """Return the 17 edges of a histogram's bars, apart from each other even where the values are not."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    size = max(abs(low), abs(high))
    if high - low <= 1e-12 * size:
        wide = max(0.5, 1e-6 * size)
        low, high = low - wide, high + wide
    edges: list[float] = np.linspace(low, high, 17).tolist()
    return edges


def _heights(values: np.ndarray, edges: list[float]) -> np.ndarray:
    """Return the bars of a histogram, (bins,), the highest 1."""
    counts = np.histogram(values, edges)[0]
    heights: np.ndarray = counts / max(1, counts.max())
    return heights


def retraining(before: float, after: Mapping[str, Sequence[float]]) -> Figure:
    """Draw test accuracy before retraining and after it, one dot per run, one row per mode.

    Parameters
    ----------
    before : float
        Accuracy of the original model, 0 to 1.
    after : mapping of str to sequence of float
        Mode to the accuracy of each of its runs, 0 to 1.
    """
    with style():
        figure, ax = axes(6.4, 0.9 + 0.42 * len(after))
        ax.axvline(100 * before, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        told = _("before {accuracy}").format(accuracy=f"{100 * before:.1f}")
        ax.annotate(
            told, (100 * before, 1), xycoords=("data", "axes fraction"), va="bottom",
            xytext=(0, 2), textcoords="offset points", ha="center", color=MUTED,
        )  # fmt: skip
        for row, accuracies in enumerate(after.values()):
            runs = 100 * np.asarray(accuracies, np.float64)
            ax.plot(
                [runs.min(), runs.max()],
                [row, row],
                color=ACCENT,
                alpha=0.35,
                linewidth=5,
                solid_capstyle="round",
            )
            ax.plot(
                runs, np.full(len(runs), row), "o", color=ACCENT, alpha=0.55, markersize=5, markeredgewidth=0
            )
            ax.plot([runs.mean()], [row], "|", color=INK, markersize=14, markeredgewidth=2)
        ax.set_yticks(range(len(after)), list(after))
        ax.set_ylim(len(after) - 0.5, -0.5)
        ax.tick_params("y", length=0, labelcolor=INK)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(_("test accuracy, %"))
        ax.margins(x=0.08)
        ax.grid(axis="x")
    return figure
