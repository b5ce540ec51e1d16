"""Named ways of running the method: every choice of every step in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hudd.errors import UsageError

Pool = Literal["none", "channel", "space"]
Reduction = Literal["none", "pca", "umap", "random-projection"]


@dataclass(frozen=True)
class Preset:
    """The choices that make up one way of running the method.

    Attributes
    ----------
    name : str
        What the user types.
    rules : str
        LRP composite, see :mod:`hudd.lrp.composites`.
    pool : {"none", "channel", "space"}
        Reduction of a heatmap before it is stored: none, one number per channel, one number per pixel.
    unit_norm : bool
        Divide each image's relevance by its Euclidean norm before distances are taken.
    features : str
        What of an image is clustered, see :data:`hudd.features.FEATURES`.
    reduction : {"none", "pca", "umap", "random-projection"}
        Reduction of the features' dimension before they are clustered.
    clusterer : str
        How they are clustered, see :class:`hudd.clustering.Pipeline`.
    linkage_on : {"distances", "profiles", "none"}
        Linkage of the distances themselves, or of the rows of the row-scaled distance matrix; none where
        the clusterer makes no dendrogram.
    wicd_on : {"distances", "row-scaled"}
        Distances whose weighted intra-cluster mean is the WICD curve.
    layer_choice : {"scaled", "raw"}
        Layers compared on a scale-free WICD, or on the raw one with the first layer left out.
    max_clusters : int
        Upper end of the range of k; the lower end is 2 and never more than half of the errors.
    cluster_size : int or None
        Errors of a cluster on average, where their number and not the knee says how many clusters there are.
    strategy : str
        How improvement images are selected, see :data:`hudd.selection.STRATEGIES`.
    selection_factor : float
        Unsafe images asked for per member of a cluster.
    distance_cap : float or None
        Images farther than this from every cluster are never selected.
    bagging : {"exact", "hudd-2021"}
        How the unsafe set is balanced for retraining.
    """

    name: str
    rules: str
    pool: Pool
    unit_norm: bool
    features: str
    reduction: Reduction
    clusterer: str
    linkage_on: Literal["distances", "profiles", "none"]
    wicd_on: Literal["distances", "row-scaled"]
    layer_choice: Literal["scaled", "raw"]
    max_clusters: int
    cluster_size: int | None
    strategy: str
    selection_factor: float
    distance_cap: float | None
    bagging: Literal["exact", "hudd-2021"]


DEFAULT_BACKBONE = "torchvision:vgg16"
DEFAULT_PRESET = "moments"  # of a study: docs/root-cause-quality.md says why

_HUDD = Preset(
    name="hudd",
    rules="epsilon-plus",
    pool="none",
    unit_norm=True,
    features="relevance",
    reduction="none",
    clusterer="ward",
    linkage_on="distances",
    wicd_on="distances",
    layer_choice="scaled",
    max_clusters=500,
    cluster_size=None,
    strategy="hudd",
    selection_factor=0.3,
    distance_cap=None,
    bagging="exact",
)
_HUDD_2021 = replace(
    _HUDD,
    name="hudd-2021",
    rules="hudd-2021",
    unit_norm=False,
    linkage_on="profiles",
    wicd_on="row-scaled",
    layer_choice="raw",
    distance_cap=1000.0,
    bagging="hudd-2021",
)
_MOMENTS = replace(  # chosen by failures of known causes, see docs/root-cause-quality.md
    _HUDD,
    name="moments",
    rules="z-plus",
    unit_norm=False,
    features="moments",
    max_clusters=50,
    cluster_size=15,
    strategy="by-cause",  # chosen on judge sets, see docs/selection-and-retraining.md
    selection_factor=0.6,
)
_MOMENTS_WEIGHTED = replace(_MOMENTS, name="moments-weighted", features="moments-weighted")
_MOMENTS_IMAGE = replace(_MOMENTS, name="moments-image", features="moments-image")
_MOMENTS_2026 = replace(_MOMENTS, name="moments-2026", features="moments-2026", strategy="hudd")
_SAFE = replace(  # M. Attaoui et al., ACM TOSEM 32(3), 2023
    _HUDD,
    name="safe",
    unit_norm=False,
    features="transfer",
    reduction="pca",
    clusterer="dbscan",
    linkage_on="none",
)
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (_HUDD, _HUDD_2021, _MOMENTS, _MOMENTS_IMAGE, _MOMENTS_WEIGHTED, _MOMENTS_2026, _SAFE)
}


def get_preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises
    ------
    UsageError
        If there is no such preset; the message lists those that exist.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UsageError(f"preset '{name}' is unknown; choose one of: {', '.join(PRESETS)}.") from None
