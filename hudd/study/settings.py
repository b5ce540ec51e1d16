"""What a study is asked to do: every choice that its results depend on, and those they do not."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hudd.clustering import CLUSTERERS, check_counted
from hudd.data import Transform
from hudd.errors import UsageError
from hudd.features import DEFAULT_BACKBONE, FEATURES, Features, feature_kind
from hudd.field_types import check_field_types
from hudd.presets import (
    DEFAULT_PRESET,
    Pool,
    Preset,
    Reduction,
    get_preset,
)
from hudd.selection import REGISTERED, check_selecting
from hudd.specs import is_factory
from hudd.store import check_compression

SPLITS = ("test", "train", "improvement")
LARGEST_SEED = 2**32 - 1
_ALLOWED = {
    "store": ("all", "selected", "none"),
    "dtype": ("float32", "float16"),
    "device": ("auto", "cpu", "cuda"),
    "reduction": (None, *get_args(Reduction)),
}

# A change of these is checked as a whole new study is.
CHECKED = (
    *("model", "weights", "trust_pickle", "weights_key", "output", *SPLITS, "transform", "device"),
    *("classes", "skip_bad", "exif_orient"),
    *("rules", "layers", "layer", "pool", "preset", "features", "backbone", "reduction", "clusterer"),
)


@dataclass(frozen=True)
class Settings:
    """The choices of one study. None means: the preset's, or the model's own.

    Attributes
    ----------
    model : str
        Model SPEC: ``package.module:factory``, ``path/file.py:factory`` or ``program.pt2``.
    weights : str or None
        Weights file, where the factory does not bring them.
    trust_pickle : bool
        Unpickle what the weights file holds in addition to tensors, which can run code of whoever made it.
    weights_key : str or None
        The entry of the weights file to read, where several fit.
    output : str or None
        The key or number of the scores, where the model returns more than one tensor.
    test, train, improvement : str or None
        Data specs. Without an improvement set nothing is selected, without a training set nothing retrained.
    preset : str
        Name of a preset, see :mod:`hudd.presets`.
    rules : str, dict of str to str, or None
        LRP composite, or rules by layer glob.
    layers : tuple of str or None
        Layers (globs) whose heatmaps are kept; None for every layer that redistributes relevance.
    pool : {"none", "channel", "space"} or None
        Reduction of a heatmap before it is stored.
    features, reduction, clusterer : str or None
        What of an image is clustered and how, in place of the preset's, see :mod:`hudd.presets`. The clusterer may
        be one that a package registers, or a spec, see :class:`hudd.clustering.Clusterer`.
    backbone : str
        Where transfer features come from, see :class:`hudd.features.Backbone`.
    seed : int
        Seed of everything that is drawn, below 2**32.
    transform : dict or None
        Fields of :class:`hudd.data.Transform` that replace those of the model's own transform; a transform of another
        kind is replaced as a whole.
    max_clusters : int or None
        Upper end of the range of k.
    cluster_size : int or None
        Errors of a cluster on average, in place of what the preset cuts a dendrogram by. Neither number goes with a
        clusterer that finds the number of clusters itself.
    layer : str or None
        The layer whose clusters are used; None to let the layer choice decide.
    factor : float or None
        Unsafe images asked for per member of a cluster.
    budget : int or None
        Unsafe images in all, in place of `factor`; not with preset ``hudd-2021``, whose bags go by the factor.
    training : dict
        Fields of :class:`hudd.retraining.TrainingConfig` for retraining.
    runs : int
        Retrainings of each mode, each with a bag and a seed of its own.
    modes : tuple of str
        Strategies to retrain by and compare, see :data:`hudd.selection.STRATEGIES`; none means `strategy` alone.
    strategy : str
        How images are selected: ``hudd``, those closest to the clusters; ``hybrid``, those within the clusters' reach
        drawn by the DNN's doubt; or another, see :data:`hudd.selection.REGISTERED`.
    classes : tuple of str or None
        Name of every output of the model, in order, in place of the model's own ``class_names``.
    allow_overlap : bool
        Go on though test images are among those trained or improved with, or labels of an image contradict.
    skip_bad : bool
        Leave out images that cannot be decoded; the study lists them.
    exif_orient : bool
        Turn and mirror image files as their EXIF data say.
    angles : dict of str to float
        Parameters that are angles, with their period.
    units : dict of str to str
        Units of parameters, for the rules.
    batch_size, workers : int
        Images a batch, and decoding threads: with 0, images are decoded between the batches. They change the speed,
        and the batch size the last digits of scores and distances.
    store : {"all", "selected", "none"}
        Whose heatmaps are kept: every layer's, the chosen layer's, or none. What is not kept is made
        again where it is needed, some layers at a time. It changes time and space, never the result.
    dtype : {"float32", "float16"}
        How heatmaps are stored.
    compression : str
        How they are compressed, see :data:`hudd.store.COMPRESSIONS`.
    device : {"auto", "cpu", "cuda"}
        Where the DNN runs.
    """

    model: str
    test: str
    weights: str | None = None
    trust_pickle: bool = False
    weights_key: str | None = None
    output: str | None = None
    train: str | None = None
    improvement: str | None = None
    preset: str = DEFAULT_PRESET
    rules: str | dict[str, str] | None = None
    layers: tuple[str, ...] | None = None
    pool: Pool | None = None
    features: str | None = None
    backbone: str = DEFAULT_BACKBONE
    reduction: Reduction | None = None
    clusterer: str | None = None
    seed: int = 0
    transform: dict[str, Any] | None = None
    max_clusters: int | None = None
    cluster_size: int | None = None
    layer: str | None = None
    factor: float | None = None
    budget: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    runs: int = 1
    modes: tuple[str, ...] = ()
    strategy: str = "hudd"
    classes: tuple[str, ...] | None = None
    allow_overlap: bool = False
    skip_bad: bool = False
    exif_orient: bool = False
    angles: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    batch_size: int = 32
    workers: int = 2
    store: Literal["all", "selected", "none"] = "all"
    dtype: Literal["float32", "float16"] = "float32"
    compression: str = "none"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        check_field_types(self)
        get_preset(self.preset)
        if self.pool not in (None, *get_args(Pool)):
            raise UsageError(f"pool is '{self.pool}'; choose one of: {', '.join(get_args(Pool))}.")
        if self.pool not in (None, "none") and not self.kind.layered:
            raise UsageError(
                f"pool is '{self.pool}', but {self.choices.features} are not pooled; choose preset 'hudd' as well."
            )
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                names = ", ".join(filter(None, allowed))
                raise UsageError(f"{name} is '{getattr(self, name)}'; choose one of: {names}.")
        check_compression(self.compression)
        least = {"batch_size": 1, "workers": 0, "runs": 1, "budget": 1, "cluster_size": 2, "max_clusters": 2}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise UsageError(f"{name} is {value}; give a whole number of at least {lowest}.")
        check_counted(self.choices.clusterer, max_clusters=self.max_clusters, cluster_size=self.cluster_size)
        check_seed(self.seed)
        for name, period in self.angles.items():
            if not period > 0:
                raise UsageError(
                    f"the period of angle '{name}' is {period}; give a number above 0, such as 360."
                )
        if self.factor is not None and not self.factor > 0:
            raise UsageError(f"factor is {self.factor}; give a number above 0.")
        if self.factor is not None and self.budget is not None:
            raise UsageError("factor and budget both say how many images to select; give one of them.")
        if self.budget is not None and self.choices.bagging == "hudd-2021":
            raise UsageError(
                f"budget is {self.budget}, but preset '{self.preset}' fills its bags by factor; give factor in its "
                "place, or choose another preset."
            )
        if self.transform is not None:
            Transform.of(self.transform)

    @property
    def loading(self) -> dict[str, Any]:
        """How the model is loaded, as :func:`hudd.capture.loading.load_model` takes it."""
        return {name: getattr(self, name) for name in ("trust_pickle", "weights_key", "output")}

    @property
    def compared(self) -> tuple[str, ...]:
        """What is retrained by: the strategies to compare, or the one that was selected by."""
        return self.modes or (self.strategy,)

    @property
    def choices(self) -> Preset:
        """The preset that the study starts from, with what is clustered and how in place of its own."""
        names = ("features", "reduction", "clusterer", "cluster_size")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        preset = get_preset(self.preset)
        chosen = dataclasses.replace(preset, **given)
        if chosen.features != preset.features:
            chosen = dataclasses.replace(chosen, unit_norm=feature_kind(chosen.features).unit_norm)
        own = (chosen.reduction, chosen.clusterer) == (preset.reduction, preset.clusterer)
        return chosen if own else dataclasses.replace(chosen, linkage_on="none")

    @property
    def kind(self) -> type[Features]:
        """What is clustered of an image, with what is true of all features of that kind."""
        return feature_kind(self.choices.features)

    @property
    def effective_rules(self) -> str | dict[str, str]:
        """The rules, the preset's where none are given."""
        return self.choices.rules if self.rules is None else self.rules

    @property
    def effective_pool(self) -> Pool:
        """The pooling, the preset's where none is given."""
        return self.choices.pool if self.pool is None else self.pool

    def data(self, split: str) -> str | None:
        """Return the data spec of a split."""
        if split not in SPLITS:
            raise UsageError(f"split '{split}' is unknown; choose one of: {', '.join(SPLITS)}.")
        spec: str | None = getattr(self, split)
        return spec

    def changed(self, **changes: Any) -> Settings:
        """Return a copy with some fields replaced.

        Raises
        ------
        UsageError
            If a field does not exist or a value is not allowed.
        """
        return dataclasses.replace(self, **_normalised(changes))._checked()

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings, sorted."""
        return sorted(f.name for f in dataclasses.fields(cls))

    def to_json(self) -> str:
        """Return the settings as JSON, for the study's file."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that :meth:`to_json` wrote.

        Raises
        ------
        UsageError
            If these are not such, or a value is not allowed.
        """
        try:
            choices = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"they are not JSON ({error}); {_RESTORE}.") from error
        if not isinstance(choices, dict) or not {"model", "test"} <= set(choices):
            raise UsageError(f"they hold no model and test set; {_RESTORE}.")
        return cls(**_normalised(choices))

    @classmethod
    def of(cls, **choices: Any) -> Settings:
        """Return settings, with paths made absolute so that they hold from any directory.

        Raises
        ------
        UsageError
            If `model` or `test` is missing, a field does not exist, or a value is not allowed.
        """
        for name in ("model", "test"):
            if not choices.get(name):
                raise UsageError(f"a study needs {name}; give it.")
        return cls(**_normalised(choices))._checked()

    def _checked(self) -> Settings:
        """Refuse names of parts that are not there; a study that was made with them can still be opened."""
        if self.clusterer is not None:
            CLUSTERERS.check(self.clusterer)
        if self.features is not None:
            FEATURES.check(self.features)
        check_selecting(self.strategy)
        if any(mode not in REGISTERED and not is_factory(mode) for mode in self.modes):
            raise UsageError(
                f"retraining modes are {list(self.modes)}; choose among: {', '.join(REGISTERED)}; or give "
                "package.module:function."
            )
        return self


def check_seed(seed: int) -> None:
    """Refuse a seed that one of the generators would not take; scikit-learn's are of 32 bits."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed is {seed}; give a whole number from 0 to {LARGEST_SEED}.")


_RESTORE = "restore 'study.h5' from a copy, or make the study again in another directory"


def _normalised(choices: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(choices) - set(Settings.names()))
    if unknown:
        raise UsageError(f"setting '{unknown[0]}' is unknown; choose among: {', '.join(Settings.names())}.")
    result = dict(choices)
    for name in ("model", "weights", "test", "train", "improvement", "backbone"):
        if result.get(name) is not None:
            result[name] = _absolute(str(result[name]))
    for name in ("clusterer", "features", "strategy", "rules"):
        value = result.get(name)
        result |= {name: _part(value)} if isinstance(value, str) else {}
    if isinstance(result.get("rules"), dict):
        result["rules"] = {layer: _part(rule) for layer, rule in result["rules"].items()}
    for name in ("layers", "modes", "classes"):
        if result.get(name) is not None:
            value = result[name]
            result[name] = (value,) if isinstance(value, str) else _as_tuple(value)
    if isinstance(result.get("modes"), tuple):
        result["modes"] = tuple(map(_part, result["modes"]))
    return result


def _part(text: Any) -> Any:
    """Make the path in the spec of a part, "path/file.py:Rule(0.5)", absolute; leave a name alone."""
    spec, bracket, numbers = text.partition("(") if isinstance(text, str) else ("", "", "")
    return f"{_absolute(spec)}{bracket}{numbers}" if is_factory(spec) else text


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _absolute(spec: str) -> str:
    """Make the path in a spec absolute; leave ``package.module:factory`` alone."""
    manifest, colons, split = spec.rpartition("::")
    if colons:
        return f"{_at_home(manifest)}::{split}"
    head, colon, factory = spec.rpartition(":")
    if colon and head.endswith(".py"):
        return f"{_at_home(head)}:{factory}"
    if colon and "/" not in spec and not os.path.exists(spec):  # noqa: PTH110 - Path fails on endless names
        return spec
    return _at_home(spec)


def _at_home(path: str) -> str:
    """Make a path absolute; "~" is the user's own folder, where there is one of that name."""
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        return str(Path(path).absolute())
