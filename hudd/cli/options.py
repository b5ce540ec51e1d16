"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA = (
    "A folder with one subfolder per class, a .csv/.parquet manifest (path, label, parameters), an .npz, or "
)
_DATA += "module:factory."

StudyDir = Annotated[
    Path, typer.Argument(metavar="STUDY", help="Directory of the study.", show_default=False)
]

# -- what the study is about
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="The DNN: package.module:factory, path/file.py:factory, or program.pt2.",
        rich_help_panel="Model and data",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Its weights: .safetensors, .pt, .pth, .ckpt, or an .index.json.",
        rich_help_panel="Model and data",
    ),
]
TrustPickle = Annotated[
    bool | None,
    typer.Option(
        "--trust-pickle",
        help="Read weights that hold more than tensors. Unpickling runs code of whoever made them: only for files "
        "that you trust.",
        rich_help_panel="Model and data",
        show_default=False,
    ),
]
WeightsKey = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The entry of a checkpoint to read, where several fit: ema, or state_dict.teacher.",
        rich_help_panel="Model and data",
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of a model that returns several tensors, the key or number of the classes' scores: logits, or 0.",
        rich_help_panel="Model and data",
        show_default=False,
    ),
]
TestData = Annotated[
    str | None,
    typer.Option(
        "--test", metavar="DATA", help=f"Labelled test images. {_DATA}", rich_help_panel="Model and data"
    ),
]
TrainData = Annotated[
    str | None,
    typer.Option(
        "--train", metavar="DATA", help="Training images, for retraining.", rich_help_panel="Model and data"
    ),
]
ImprovementData = Annotated[
    str | None,
    typer.Option(
        "--improvement", metavar="DATA", help="Field images to select from; labels optional.",
        rich_help_panel="Model and data",
    ),
]  # fmt: skip
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Resize images: 45 or 45x60 (height x width).", rich_help_panel="Transform"
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(help="Factor on the 0..255 values, e.g. 1 or 0.00392.", rich_help_panel="Transform"),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBERS",
        help="Subtract after scaling: 0.5 or 0.485,0.456,0.406.",
        rich_help_panel="Transform",
    ),
]
Std = Annotated[
    str | None,
    typer.Option(metavar="NUMBERS", help="Divide by, one number or three.", rich_help_panel="Transform"),
]
Gray = Annotated[
    bool | None, typer.Option("--gray/--colour", help="One channel or three.", rich_help_panel="Transform")
]

# -- how the method is run
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="moments (default), channel moments of all layers; hudd, heatmaps of the tightest layer, as in the paper; "
        "hudd-2021, its authors' code; safe, transfer features by density.",
        rich_help_panel="Method",
    ),
]
Rules = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="LRP composite, e.g. epsilon-plus, or 'GLOB=rule,GLOB=rule'.",
        rich_help_panel="Method",
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        metavar="GLOBS",
        help="Layers to keep heatmaps of, comma-separated; default all.",
        rich_help_panel="Method",
    ),
]
PoolName = Annotated[
    str | None,
    typer.Option(
        "--pool",
        metavar="NAME",
        help="none, channel (one number per channel) or space.",
        rich_help_panel="Method",
    ),
]
FeaturesName = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="NAME",
        help="What is clustered: relevance, moments, activation, transfer or pixels.",
        rich_help_panel="Method",
    ),
]
BackboneSpec = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="SPEC",
        help="Of transfer features: torchvision:NAME (default vgg16), timm:NAME, or a model SPEC.",
        rich_help_panel="Method",
    ),
]
ReductionName = Annotated[
    str | None,
    typer.Option(
        "--reduction",
        metavar="NAME",
        help="Before clustering: none, pca, umap or random-projection.",
        rich_help_panel="Method",
    ),
]
ClustererName = Annotated[
    str | None,
    typer.Option(
        "--clusterer",
        metavar="NAME",
        help="ward, average, kmeans, dbscan, hdbscan, one that a package registers, or package.module:Class.",
        rich_help_panel="Method",
    ),
]
MaxClusters = Annotated[
    int | None,
    typer.Option(
        help="Most clusters to consider, of ward, average and kmeans.",
        rich_help_panel="Method",
        show_default=False,
    ),
]
ClusterSize = Annotated[
    int | None,
    typer.Option(
        help="Errors of a cluster on average, of ward, average and kmeans; by default 15 with moments, else the knee "
        "decides.",
        rich_help_panel="Method",
        show_default=False,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="Use this layer's clusters; 'auto' chooses.", rich_help_panel="Method", show_default=False
    ),
]
Factor = Annotated[
    float | None,
    typer.Option(
        help="Images to select per member of a cluster (default 0.6; with --preset hudd 0.3).",
        rich_help_panel="Method",
    ),
]
Budget = Annotated[
    int | None,
    typer.Option(
        help="Images to select in all, in place of --factor; not with preset hudd-2021.",
        rich_help_panel="Method",
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Seed of everything drawn (default 0).", rich_help_panel="Method")
]

# -- retraining
Epochs = Annotated[
    int | None, typer.Option(help="Retraining epochs (default 10).", rich_help_panel="Retraining")
]
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="Learning rate (default 0.001).", rich_help_panel="Retraining")
]
Optimizer = Annotated[
    str | None, typer.Option(help="sgd (default), adam, adamw or rmsprop.", rich_help_panel="Retraining")
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="Learning rate over the epochs: constant (default) or cosine.", rich_help_panel="Retraining"
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="flip, shift or both; default none.", rich_help_panel="Retraining"),
]
Freeze = Annotated[
    str | None,
    typer.Option(
        metavar="GLOBS",
        help="Parameters that are not trained, e.g. 'features.0.*,features.3.*'.",
        rich_help_panel="Retraining",
    ),
]
Holdout = Annotated[
    float | None,
    typer.Option(
        help="Share of the training set held out to find the best epoch (default 0: keep the last).",
        rich_help_panel="Retraining",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Stop after so many epochs without a better one; needs --holdout.", rich_help_panel="Retraining"
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="float32 (default) or bfloat16, automatic mixed precision.", rich_help_panel="Retraining"
    ),
]
Runs = Annotated[
    int | None,
    typer.Option(
        help="Retrainings of each strategy (default 1, with --compare 10).", rich_help_panel="Retraining"
    ),
]
Compare = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Strategies to compare: hudd, hybrid, random, entropy, bl1, bl2, none.",
        rich_help_panel="Retraining",
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="hudd (default): those closest to the clusters; hybrid: those near them, drawn by the DNN's doubt.",
        rich_help_panel="Method",
    ),
]
Angles = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=PERIOD,...",
        help="Parameters that are angles: 'gaze_angle=360'.",
        rich_help_panel="Parameters",
    ),
]
Units = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=UNIT,...",
        help="Units of parameters, for the rules: 'width=px,height=px'.",
        rich_help_panel="Parameters",
    ),
]

# -- the machine
BatchSize = Annotated[
    int | None,
    typer.Option(help="Images a batch (default 32); changes last digits at most.", rich_help_panel="Machine"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Decoding threads (default 2); 0 decodes between the batches. No effect on results.",
        rich_help_panel="Machine",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT",
        help="Heatmaps to keep: all (default), selected (the chosen layer's) or none; no effect on results.",
        rich_help_panel="Machine",
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="Numbers of stored heatmaps: float32 (default) or float16.",
        rich_help_panel="Machine",
    ),
]
Compression = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of heatmaps and distances written from now on: none (default), gzip, lzf; with hdf5plugin zstd, lz4, "
        "blosc2, bitshuffle.",
        rich_help_panel="Machine",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="auto (default), cpu or cuda.", rich_help_panel="Machine"),
]
Force = Annotated[
    str | None,
    typer.Option(
        metavar="STEP",
        help="Rerun this step and everything downstream, even if nothing has changed.",
        rich_help_panel="Machine",
    ),
]
Upgrade = Annotated[
    bool,
    typer.Option(
        "--upgrade",
        help="Compute again what an older version of hudd computed otherwise; without it, such results are kept.",
        rich_help_panel="Machine",
    ),
]
BreakLock = Annotated[
    bool,
    typer.Option(
        "--break-lock", help="Take over a lock that another machine left.", rich_help_panel="Machine"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# -- local pages
Serve = Annotated[bool, typer.Option("--serve", help="Serve a local page instead, until Ctrl-C.")]
Host = Annotated[
    str, typer.Option(help="Address to serve on; any but this machine's own lets the network in.")
]
Port = Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)]
