"""``hudd heatmaps``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_study


def heatmaps(
    study: o.StudyDir,
    preset: o.PresetName = None,
    rules: o.Rules = None,
    layers: o.Layers = None,
    pool: o.PoolName = None,
    features: o.FeaturesName = None,
    backbone: o.BackboneSpec = None,
    batch_size: o.BatchSize = None,
    workers: o.Workers = None,
    store: o.Store = None,
    dtype: o.Dtype = None,
    compression: o.Compression = None,
    device: o.Device = None,
    break_lock: o.BreakLock = False,
) -> None:
    """Compute the relevance of every error (LRP), at every layer or as the preset joins them.

    Also checks the heatmaps that are there against their checksums and computes damaged ones again.

    [bold]Examples[/]

      hudd heatmaps signs

      hudd heatmaps signs --preset hudd --layers 'features.*' --store selected

      hudd heatmaps signs --rules 'features.0=z-box,classifier.*=epsilon'
    """
    from hudd.cli.printing import run_step

    run_step(
        open_study(
            study,
            break_lock=break_lock,
            preset=preset,
            rules=rules,
            layers=layers,
            pool=pool,
            features=features,
            backbone=backbone,
            batch_size=batch_size,
            workers=workers,
            store=store,
            dtype=dtype,
            compression=compression,
            device=device,
        ),
        "heatmaps",
    )
