# ruff: noqa: RUF009 - the fields of a dataclass, with a topic and steps that several share
"""What a study is asked to do: every choice that its results depend on, and those that change time and space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from hudd.parts import ATTRIBUTES, CLUSTERERS, COMPRESSIONS, FEATURES, SELECTING, STRATEGIES, TASKS
from hudd.presets import DEFAULT_BACKBONE, DEFAULT_PRESET, PRESETS, Pool, Reduction
from hudd.settings.fields import Panel, Range, check, setting

SPLITS = ("test", "judge", "train", "improvement")
LARGEST_SEED = 2**32 - 1  # scikit-learn's are of 32 bits

_DATA = "a folder with one subfolder per class, a .csv or .parquet manifest (path, label, parameters), an .npz, or "
_DATA += "module:factory"

_first = partial(setting, panel=Panel.FIRST)
_data = partial(setting, panel=Panel.DATA, steps=("test",))
_heatmaps = partial(setting, panel=Panel.CLUSTERS, steps=("heatmaps",))
_clusters = partial(setting, panel=Panel.CLUSTERS, steps=("cluster",))
_selection = partial(setting, panel=Panel.SELECTION, steps=("select",))
_retraining = partial(setting, panel=Panel.RETRAINING, steps=("retrain",))
_machine = partial(setting, panel=Panel.MACHINE, neutral=True)


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """The fields of :class:`hudd.study.settings.Settings`."""

    model: str = _first(
        help="The DNN: package.module:factory, path/file.py:factory, or program.pt2",
        steps=("test",),
        metavar="SPEC",
        path=True,
    )
    weights: str | None = _first(
        None,
        help="Its weights, where the factory does not bring them: .safetensors, .pt, .pth, .ckpt or an .index.json",
        steps=("test",),
        metavar="FILE",
        path=True,
    )
    test: str = _first(help=f"Labelled test images: {_DATA}", steps=("test",), metavar="DATA", path=True)
    trust_pickle: bool = _data(
        False,
        help="Read weights that hold more than tensors. Unpickling runs code of whoever made them: only for files that "
        "you trust",
    )
    weights_key: str | None = _data(
        None,
        help="The entry of a checkpoint to read, where several fit: ema, or state_dict.teacher",
        metavar="NAME",
    )
    output: str | None = _data(
        None,
        help="Of a model that returns several tensors, the key or number of the classes' scores: logits, or 0",
        metavar="NAME",
    )
    train: str | None = _first(
        None, help="Training images, for retraining", steps=("test", "retrain"), metavar="DATA", path=True
    )
    improvement: str | None = _first(
        None,
        help="Field images to select from; labels optional",
        steps=("test", "select"),
        metavar="DATA",
        path=True,
    )
    judge: str | None = _data(
        None,
        help="Labelled images that no step reads but the report of what retraining changed; the test set's errors are "
        "what the clusters are made of",
        steps=("test", "evaluate", "retrain"),
        metavar="DATA",
        path=True,
    )
    judge_share: float | None = _data(
        None,
        help="Take such a share of the test set for the judge set, class by class, by the seed: 0.5",
        bounds=Range(above=0, below=1),
        metavar="SHARE",
    )
    judge_groups: str | None = _data(
        None,
        help="Column of the test set whose images stay together when the judge set is taken from it, such as a track, "
        "a driver or a sequence; by default images that look alike do",
        metavar="COLUMN",
    )
    task: str | None = _data(
        None,
        help="What labels and outputs mean: classification, one class an image; binary, two classes by a single "
        "score; multilabel, labels of which several may apply; regression, numbers and angles; keypoints, landmarks; "
        "or package.module:factory. By default what --targets are, else classes",
        choices=TASKS,
        metavar="NAME",
    )
    targets: tuple[str, ...] = _data(
        (),
        help="Columns of the data with the numbers to predict, or with labels as 0 and 1, in the order of the outputs, "
        "globs allowed; those of landmarks are called NAME_x and NAME_y",
        metavar="NAMES",
    )
    threshold: str | None = _data(
        None,
        help="Where numbers are predicted, the error above which an image counts as wrong: 3, in the unit of the "
        "targets; yaw=5,pitch=8; or 90%, what 90 % of the test images are below. Of labels and of a single score, the "
        "probability, by default 0.5",
        metavar="ERROR",
    )
    explained: str = _data(
        "worst",
        help="Which numbers are judged and explained: worst (default), the one that is farthest off; all; or some by "
        "name, 'mouth_*', or 'worst:mouth_*'",
        metavar="NAMES",
    )
    normalise: tuple[str, ...] = _data(
        (),
        help="Divide errors by a column, such as the size of a face, or by the distance of two landmarks",
        metavar="NAMES",
    )
    classes: tuple[str, ...] | None = _first(
        None,
        help="Class name of every output, in order, in place of the model's own: a list with commas, or a file with "
        "one per line (or JSON)",
        steps=("test",),
        metavar="NAMES",
    )
    allow_overlap: bool = _data(
        False,
        help="Continue although sets share images, or copies of an image have different labels",
        neutral=True,
    )
    skip_bad: bool = _data(False, help="Leave out images that cannot be decoded; the study lists them")
    transform: dict[str, Any] | None = _data(
        None,
        help="Fields of hudd.data.Transform that replace those of the model's own; a transform of another kind is "
        "replaced as a whole",
        option=None,
    )
    exif_orient: bool = _data(
        False,
        help="Turn and mirror image files as their EXIF data say; by default they are read as the pixels are stored",
        panel=Panel.TRANSFORM,
    )
    decoder: Literal["simplejpeg", "pillow"] | None = _data(
        None,
        help="What decodes JPEG files, to the same pixels; by default simplejpeg, the faster one, where it is "
        "installed when the study is made, and the study keeps to it:",
    )
    attributes: tuple[str, ...] = _data(
        (),
        help="Attributes to measure of every image besides hudd's own: names of installed ones, or "
        "package.module:measure",
        choices=ATTRIBUTES,
        metavar="NAMES",
    )
    preset: str = _first(
        DEFAULT_PRESET,
        help="How the method is run: moments (default), channel moments of all layers; hudd, heatmaps of the tightest "
        "layer, as in the paper; hudd-2021, its authors' code; safe, transfer features by density; moments-2026, "
        "the first form of moments; moments-weighted, for causes that are a matter of what the DNN uses; "
        "moments-image, which adds moments of the image",
        steps=("heatmaps", "cluster", "select"),
        choices=PRESETS,
        metavar="NAME",
    )
    rules: str | dict[str, str] | None = _heatmaps(
        None,
        help="LRP composite in place of the preset's, such as epsilon-plus, or rules by layer, 'GLOB=rule,GLOB=rule'",
        metavar="NAME",
    )
    bias: Literal["absorb", "ignore", "distribute"] = _heatmaps(
        "absorb",
        help="What becomes of a bias' share of relevance: it stays there, is left out of the denominators, or is "
        "distributed over the layer's inputs:",
    )
    pictures_against: Literal["nothing", "mean", "blur", "noise", "all"] = _heatmaps(
        "nothing",
        help="Explain in pictures what sets an image's output apart from that of its mean colour, of its blurred copy, "
        "of noise or, on the mean, of all three, in place of the whole output; what is clustered stays as it is:",
        neutral=True,
    )
    layers: tuple[str, ...] | None = _heatmaps(
        None,
        help="Layers (globs) to keep heatmaps of; by default all that redistribute relevance",
        metavar="GLOBS",
    )
    pool: Pool | None = _heatmaps(
        None, help="A heatmap is stored whole, as a number per channel, or as one per pixel:"
    )
    features: str | None = _heatmaps(
        None, help="What of an image is clustered, in place of the preset's:", choices=FEATURES
    )
    backbone: str = _heatmaps(
        DEFAULT_BACKBONE,
        help="Where transfer features come from: torchvision:NAME, timm:NAME or a model SPEC",
        metavar="SPEC",
        path=True,
    )
    reduction: Reduction | None = _clusters(
        None, help="Reduction of the features' dimension before they are clustered, in place of the preset's:"
    )
    clusterer: str | None = _clusters(
        None, help="How errors are clustered, in place of the preset's:", choices=CLUSTERERS
    )
    max_clusters: int | None = _clusters(
        None, help="Most clusters to consider, of ward, average and kmeans", bounds=Range(least=2)
    )
    cluster_size: int | None = _clusters(
        None,
        help="Errors of a cluster on average, of ward, average and kmeans; by default 15 with moments, else the knee "
        "decides",
        bounds=Range(least=2),
    )
    linkage_from: Literal["auto", "matrix", "rows"] = _clusters(
        "auto",
        help="Link errors from a matrix of all their distances, or from their features, row by row, which takes less "
        "memory, by clusterer ward alone; auto takes rows where the matrix would fill more than a quarter of it:",
        steps=("distances", "cluster"),
    )
    layer: str | None = _clusters(
        None,
        help="Use this layer's clusters; by default, and with 'auto', the tightest layer's",
        metavar="NAME",
    )
    factor: float | None = _selection(
        None,
        help="Images to select per member of a cluster; by default 0.6, with preset hudd 0.3",
        bounds=Range(above=0),
    )
    budget: int | None = _selection(
        None,
        help="Images to select in all, in place of a factor; not with preset hudd-2021, whose bags go by the factor",
        bounds=Range(least=1),
        panel=Panel.FIRST,
    )
    cause: int | None = _selection(
        None,
        help="Select for this root cause alone, by strategy cause: of the images closest to it those that are "
        "unlike",
        bounds=Range(least=1),
        metavar="NUMBER",
    )
    images: str | None = _selection(
        None,
        help="Select the images of a list, by strategy given: a .csv with the column path",
        metavar="FILE",
        path=True,
    )
    strategy: str | None = _selection(
        None,
        help="How images are selected: by-cause (default with presets of moments), for each cause those that are "
        "likely to be wrong, and unlike; hudd (default with other presets), those closest to the clusters; hybrid, "
        "those within the clusters' reach, drawn by uncertainty; entropy, margin and class-balanced-entropy, the most "
        "uncertain; entropy-kmeans and badge, uncertain and unlike ones; core-set and typiclust, those that cover or "
        "typify the others; cause, for --cause; given, for --images; random; or package.module:factory",
        choices=SELECTING,
        metavar="NAME",
    )
    seed: int = setting(
        0,
        help="Seed of everything that is drawn",
        panel=Panel.SELECTION,
        steps=("test", "cluster", "select", "retrain", "evaluate"),
        bounds=Range(least=0, most=LARGEST_SEED),
    )
    training: dict[str, Any] = _retraining(
        default_factory=dict, help="Fields of hudd.retraining.TrainingConfig", option=None
    )
    trusted: float | None = _retraining(
        None,
        help="Improvement images whose estimated probability of failure is at most this are retrained on with the "
        "predicted class as their label, so that fewer correct predictions are lost; 0 for none. Default 0.09 for "
        "classes: none of the ten test images with the most similar heatmaps fails",
        bounds=Range(least=0, most=1),
    )
    runs: int = _retraining(
        1,
        help="Retrainings of each strategy, each with a seed and a bag of its own; default 1, with --compare 10",
        bounds=Range(least=1),
    )
    modes: tuple[str, ...] = _retraining(
        (),
        help="Strategies to retrain by and compare:",
        choices=STRATEGIES,
        option="--compare",
        metavar="NAMES",
    )
    keep_runs: bool = _retraining(
        False, help="Keep the weights of every run in STUDY/models, not of the first alone", neutral=True
    )
    angles: dict[str, float] = setting(
        default_factory=dict,
        help="Parameters that are angles, with their period: 'gaze_angle=360'",
        panel=Panel.EVALUATION,
        steps=("evaluate",),
        metavar="NAME=PERIOD,...",
    )
    units: dict[str, str] = setting(
        default_factory=dict,
        help="Units of parameters, for the rules: 'width=px,height=px'",
        panel=Panel.EVALUATION,
        steps=("evaluate",),
        metavar="NAME=UNIT,...",
    )
    severity: str | None = setting(
        None,
        help="A YAML file of severity levels, by the classes that are confused or by what is known of an image; report "
        "and 'hudd show' then tell how severe the errors of each cause are",
        panel=Panel.EVALUATION,
        steps=("evaluate",),
        neutral=True,
        metavar="FILE",
        path=True,
    )
    batch_size: int = _machine(
        32,
        help="Images a batch; it changes the last digits of scores and distances at most",
        steps=("test", "heatmaps", "select"),
        bounds=Range(least=1),
    )
    workers: int | None = _machine(
        None,
        help="Decoding threads; by default two, and more while the DNN waits for images and more help; with 0, images "
        "are decoded between the batches",
        steps=("test", "heatmaps", "select"),
        bounds=Range(least=0),
    )
    store: Literal["all", "selected", "none"] = _machine(
        "all",
        help="Heatmaps to keep, every layer's, the chosen layer's or none; others are made again where needed:",
        steps=("heatmaps",),
    )
    dtype: Literal["float32", "float16"] = _machine(
        "float32", help="Numbers of stored heatmaps:", steps=("heatmaps",), neutral=False
    )
    arithmetic: Literal["float32", "tf32", "bfloat16"] = _machine(
        "float32",
        help="Of convolutions and matrix products, whatever torch is set to; the others are coarser, and faster on a "
        "GPU:",
        steps=("test",),
        neutral=False,
    )
    compression: str = _machine(
        "none",
        help="Of heatmaps and distances written from now on; zstd and what follows it need hdf5plugin:",
        steps=("heatmaps", "distances"),
        choices=COMPRESSIONS,
    )
    device: Literal["auto", "cpu", "cuda"] = _machine(
        "auto",
        help="Where the DNN runs:",
        steps=("test", "heatmaps", "select", "retrain"),
        panel=Panel.FIRST,
    )

    def __post_init__(self) -> None:
        check(self)
