"""``hudd run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hudd.cli import data_options as d
from hudd.cli import options as o
from hudd.cli.opening import open_or_create

if TYPE_CHECKING:
    from hudd.study import Study


def run(
    study: o.StudyDir,
    model: o.Model = None,
    weights: o.Weights = None,
    trust_pickle: o.TrustPickle = None,
    weights_key: o.WeightsKey = None,
    output: o.Output = None,
    test: o.TestData = None,
    train: o.TrainData = None,
    improvement: o.ImprovementData = None,
    classes: d.Classes = None,
    allow_overlap: d.AllowOverlap = None,
    skip_bad: d.SkipBad = None,
    exif_orient: d.ExifOrient = None,
    resize: o.Resize = None,
    scale: o.Scale = None,
    mean: o.Mean = None,
    std: o.Std = None,
    gray: o.Gray = None,
    preset: o.PresetName = None,
    rules: o.Rules = None,
    layers: o.Layers = None,
    pool: o.PoolName = None,
    features: o.FeaturesName = None,
    backbone: o.BackboneSpec = None,
    reduction: o.ReductionName = None,
    clusterer: o.ClustererName = None,
    max_clusters: o.MaxClusters = None,
    cluster_size: o.ClusterSize = None,
    layer: o.Layer = None,
    factor: o.Factor = None,
    budget: o.Budget = None,
    strategy: o.Strategy = None,
    angles: o.Angles = None,
    units: o.Units = None,
    seed: o.Seed = None,
    epochs: o.Epochs = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    runs: o.Runs = None,
    compare: o.Compare = None,
    batch_size: o.BatchSize = None,
    workers: o.Workers = None,
    store: o.Store = None,
    dtype: o.Dtype = None,
    compression: o.Compression = None,
    device: o.Device = None,
    force: o.Force = None,
    upgrade: o.Upgrade = False,
    break_lock: o.BreakLock = False,
) -> None:
    """Take all steps, from the test to the report; resume where an earlier run stopped.

    Without an improvement set it ends at the clusters, without labels or a training set at the selection.
    Given again with other options, it computes again only what depends on them.

    [bold]Examples[/]

      hudd run signs --model model.py:cnn --weights cnn.pth --test test --train train --improvement field

      hudd run signs                          [dim]# resume[/]

      hudd run signs --pool channel           [dim]# other heatmaps: the test is kept, the rest is recomputed[/]

      torchrun --nproc-per-node 4 -m hudd run signs     [dim]# four processes, one GPU each if there are any[/]
    """
    from hudd.cli.printing import (
        console,
        in_line,
        print_summary,
        quietly,
        run_step,
        write_comparison,
        write_report,
    )

    def ready() -> Study:
        return open_or_create(
            study, break_lock=break_lock, model=model, weights=weights, trust_pickle=trust_pickle,
            weights_key=weights_key, output=output,
            test=test, train=train,
            improvement=improvement, classes=classes, allow_overlap=allow_overlap, skip_bad=skip_bad,
            exif_orient=exif_orient, resize=resize, scale=scale, mean=mean, std=std, grayscale=gray, preset=preset,
            rules=rules, layers=layers, pool=pool, features=features, backbone=backbone, reduction=reduction,
            clusterer=clusterer, max_clusters=max_clusters, cluster_size=cluster_size, layer=layer, factor=factor,
            budget=budget, strategy=strategy, angles=angles, units=units, seed=seed,
            epochs=epochs, lr=lr, optimizer=optimizer, runs=runs, modes=compare,
            batch_size=batch_size, workers=workers, store=store, dtype=dtype, compression=compression, device=device,
            force=force, upgrade=upgrade,
        )  # fmt: skip

    opened = quietly(ready, "Checking model and data")
    for step in opened.possible_steps():
        run_step(opened, step)
    if not opened.journal.ranks.first:
        return
    if step == "retrain" and (len(opened.settings.compared) > 1 or opened.settings.runs > 1):
        write_comparison(opened)
    print_summary(opened, write_report(opened))
    for hint in opened.hints():
        console.print(f"[dim]{in_line(hint)}[/]", soft_wrap=True)
