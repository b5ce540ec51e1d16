"""``hudd test``."""

from __future__ import annotations

from hudd.cli import data_options as d
from hudd.cli import options as o
from hudd.cli.opening import open_or_create


def run_test(
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
    seed: o.Seed = None,
    batch_size: o.BatchSize = None,
    workers: o.Workers = None,
    device: o.Device = None,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Run the DNN over the images and find its errors. Makes the study if there is none.

    [bold]Examples[/]

      hudd test signs --model model.py:cnn --weights cnn.pth --test data/test

      hudd test signs --improvement field     [dim]# add a set[/]
    """
    from hudd.cli.printing import print_json, quietly, run_step

    opened = quietly(
        lambda: open_or_create(
            study, break_lock=break_lock, model=model, weights=weights, trust_pickle=trust_pickle,
            weights_key=weights_key, output=output,
            test=test, train=train,
            improvement=improvement, classes=classes, allow_overlap=allow_overlap, skip_bad=skip_bad,
            exif_orient=exif_orient, resize=resize, scale=scale, mean=mean, std=std, grayscale=gray, preset=preset,
            seed=seed, batch_size=batch_size, workers=workers, device=device,
        ),
        "Checking model and data",
    )  # fmt: skip
    if json:
        summary = opened.test().summary()
        print_json({split: summary[split] for split in ("test", "train", "improvement") if split in summary})
    else:
        run_step(opened, "test")
