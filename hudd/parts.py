"""Names of what can be chosen by name, and where it is found: nothing is imported before it is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hudd.registry import Registry

RULES = Registry(
    "hudd.rules",
    "LRP rule",
    {
        "zero": "hudd.lrp.rules:Zero",
        "epsilon": "hudd.lrp.rules:Epsilon",
        "gamma": "hudd.lrp.rules:Gamma",
        "alpha-beta": "hudd.lrp.rules:AlphaBeta",
        "z-plus": "hudd.lrp.rules:ZPlus",
        "z-box": "hudd.lrp.rules:ZBox",
        "w-square": "hudd.lrp.rules:WSquare",
        "flat": "hudd.lrp.rules:Flat",
    },
)
FEATURES = Registry(
    "hudd.features",
    "features",
    {
        "relevance": "hudd.features.relevance:Heatmaps",
        "moments": "hudd.features.moments:Moments",
        "moments-image": "hudd.features.image_moments:MomentsImage",
        "moments-weighted": "hudd.features.moments:MomentsWeighted",
        "moments-2026": "hudd.features.moments:Moments2026",
        "activation": "hudd.features.activations:Activations",
        "transfer": "hudd.features.transfer:Backbone",
        "pixels": "hudd.features.pixels:Pixels",
    },
)
CLUSTERERS = Registry(
    "hudd.clusterers",
    "clusterer",
    {
        name: f"hudd.clustering.clusterers:{name.capitalize()}"
        for name in ("ward", "average", "kmeans", "dbscan", "hdbscan")
    },
)
ATTRIBUTES = Registry(
    "hudd.attributes",
    "attributes",
    {
        "detail": "hudd.attributes.detail:Detail",
        "light": "hudd.attributes.light:Light",
        "frame": "hudd.attributes.frame:Frame",
        "exposure": "hudd.attributes.exposure:Exposure",
    },
)
STRATEGIES = Registry(
    "hudd.strategies",
    "strategy",
    {
        "none": "hudd.selection.strategies:select_none",
        "hudd": "hudd.selection.strategies:closest_to_clusters",
        "random": "hudd.selection.strategies:at_random",
        "entropy": "hudd.selection.strategies:most_uncertain",
        "bl1": "hudd.selection.strategies:drawn_errors",
        "bl2": "hudd.selection.strategies:draw_with_replacement",
        "hybrid": "hudd.selection.strategies:within_reach_by_doubt",
        "margin": "hudd.selection.strategies:least_margin",
        "class-balanced-entropy": "hudd.selection.strategies:most_uncertain_of_each_class",
        "entropy-kmeans": "hudd.selection.strategies:most_uncertain_spread",
        "badge": "hudd.selection.strategies:badge",
        "core-set": "hudd.selection.strategies:core_set",
        "typiclust": "hudd.selection.strategies:typical",
        "by-cause": "hudd.selection.strategies:by_cause",
        "cause": "hudd.selection.strategies:for_one_cause",
        "given": "hudd.selection.strategies:given_images",
    },
)
_COMPARED = ("none", "bl1", "bl2")  # those that draw one image more than once, or know what is wrong
SELECTING = replace(
    STRATEGIES, own={name: where for name, where in STRATEGIES.own.items() if name not in _COMPARED}
)
"""The strategies that an unsafe set can be selected by."""
TASKS = Registry(
    "hudd.tasks",
    "task",
    {
        "classification": "hudd.tasks.classification:Classification",
        "regression": "hudd.tasks.numbers:Regression",
        "keypoints": "hudd.tasks.keypoints:Keypoints",
        "multilabel": "hudd.tasks.multilabel:Multilabel",
        "binary": "hudd.tasks.binary:Binary",
    },
)
EXPORTERS = Registry(
    "hudd.exporters",
    "export format",
    {
        "csv": "hudd.export.tables:TABLES",
        "images": "hudd.export.folders:FOLDERS",
        "virelay": "hudd.export.virelay:VIRELAY",
        "fiftyone": "hudd.export.fiftyone:FIFTYONE",
        "parquet": "hudd.export.parquet:PARQUET",
        "coco": "hudd.export.coco:COCO",
        "label-studio": "hudd.export.label_studio:LABEL_STUDIO",
        "tensors": "hudd.export.tensors:TENSORS",
        "model-card": "hudd.export.model_card:MODEL_CARD",
        "openodd": "hudd.export.openodd:OPENODD",
        "tensorboard": "hudd.export.tensorboard:TENSORBOARD",
        "mlflow": "hudd.export.mlflow:MLFLOW",
    },
)
TRACKERS = ("tensorboard", "mlflow")
"""Formats of experiment trackers, written by the trackers' own packages."""
CASES = Registry(
    "hudd.cases",
    "case",
    {
        "mnist": "hudd.data.cases.mnist:CASE",
        "digits": "hudd.data.cases.digits:CASE",
        "eyes-gaze": "hudd.data.cases.eyes:GAZE",
        "eyes-open": "hudd.data.cases.eyes:OPEN",
        "landmarks": "hudd.data.cases.landmarks:LANDMARKS",
        "gaze-angles": "hudd.data.cases.landmarks:GAZE_ANGLES",
    },
)
COMPRESSIONS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "none": None,
    "gzip": None,
    "lzf": None,
    "zstd": ("Zstd", {}),
    "lz4": ("LZ4", {}),
    "blosc2": ("Blosc2", {"cname": "zstd", "filters": 1}),
    "bitshuffle": ("Bitshuffle", {"cname": "zstd"}),
}
"""Compressions of heatmaps and distances; the filter and its options where hdf5plugin brings it."""
