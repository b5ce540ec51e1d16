"""The settings of a study: checked together, completed by the preset, written to its file and read back."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from hudd.clustering import check_counted, check_rows
from hudd.data import Transform
from hudd.errors import UsageError
from hudd.features import Features, feature_kind
from hudd.presets import Pool, Preset, get_preset
from hudd.registry import Registry
from hudd.settings import SPLITS, StudySettings, check_registered, documented, fields_of
from hudd.specs import is_factory
from hudd.store import check_compression


@documented
@dataclass(frozen=True)
class Settings(StudySettings):
    """The choices of one study. None means: the preset's, or the model's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool not in (None, "none") and not self.kind.layered:
            raise UsageError(
                f"pool is '{self.pool}', but features '{self.choices.features}' are not pooled; choose preset 'hudd' "
                "as well."
            )
        if self.pictures_against != "nothing":
            self._check_pictures()
        check_compression(self.compression)
        check_counted(self.choices.clusterer, max_clusters=self.max_clusters, cluster_size=self.cluster_size)
        if self.linkage_from == "rows":
            check_rows(self.choices.clusterer, get_preset(self.preset).linkage_on)
        for name, period in self.angles.items():
            if not period > 0:
                raise UsageError(
                    f"the period of angle '{name}' is {period}; give a number above 0, such as 360."
                )
        if self.judge is not None and self.judge_share is not None:
            raise UsageError(
                f"judge is '{self.judge}' and judge_share {self.judge_share}, and there is one judge set; give one of "
                "them."
            )
        if self.judge_groups is not None and self.judge_share is None:
            raise UsageError(
                f"judge_groups is '{self.judge_groups}', and nothing is taken from the test set; give judge_share too."
            )
        for strategy, needed in {"cause": "cause", "given": "images"}.items():
            if strategy in (self.effective_strategy, *self.modes) and getattr(self, needed) is None:
                raise UsageError(f"strategy '{strategy}' needs {needed}, which is not given; give it too.")
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
        return self.modes or (self.effective_strategy,)

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
    def rules_of_pictures(self) -> str | dict[str, str]:
        """The rules by which people see heatmaps: those of the features, where they are relevance.

        Of others, and unless rules were asked for, the composite recommended for the DNN; against a baseline always,
        since other rules may have no meaning there (docs/heatmap-quality.md).
        """
        asked = self.kind.drawn or self.rules is not None
        return self.effective_rules if asked and self.pictures_against == "nothing" else "recommended"

    @property
    def baselines_of_pictures(self) -> list[str] | None:
        """What people see heatmaps against, as :class:`hudd.lrp.LRP` takes it."""
        if self.pictures_against == "nothing":
            return None
        return ["mean", "blur", "noise"] if self.pictures_against == "all" else [self.pictures_against]

    def _check_pictures(self) -> None:
        given = f"pictures_against is '{self.pictures_against}'"
        if self.kind.drawn:
            raise UsageError(
                f"{given}, but with features '{self.choices.features}' pictures show the heatmaps that are clustered; "
                "leave it out, or choose features 'moments'."
            )
        if self.bias != "absorb":
            raise UsageError(
                f"{given} and bias '{self.bias}', but biases cancel against a baseline; leave out one of them."
            )

    @property
    def effective_pool(self) -> Pool:
        """The pooling, the preset's where none is given."""
        return self.choices.pool if self.pool is None else self.pool

    @property
    def effective_strategy(self) -> str:
        """How images are selected, the preset's strategy where none is given."""
        return self.choices.strategy if self.strategy is None else self.strategy

    def data(self, split: str) -> str | None:
        """Return the data spec of a split; that of the test set, where the judge set is taken from it."""
        if split not in SPLITS:
            raise UsageError(f"split '{split}' is unknown; choose one of: {', '.join(SPLITS)}.")
        if split == "judge" and self.judge_share is not None:
            return self.test
        spec: str | None = getattr(self, split)
        return spec

    def changed(self, **changes: Any) -> Settings:
        """Return a copy with some fields replaced.

        Raises
        ------
        UsageError
            If a field does not exist or a value is not allowed.
        """
        new = dataclasses.replace(self, **_normalised(changes))
        check_registered(new)
        return new

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
        return cls(**_normalised({"strategy": "hudd", **choices}))  # the default of studies that name none

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
        new = cls(**_normalised(choices))
        check_registered(new)
        return new


_RESTORE = "restore 'study.h5' from a copy, or make the study again in another directory"


def _normalised(choices: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(choices) - set(Settings.names()))
    if unknown:
        raise UsageError(f"setting '{unknown[0]}' is unknown; choose among: {', '.join(Settings.names())}.")
    result = dict(choices)
    for name, value in choices.items():
        known = fields_of(Settings)[name]
        listed = any(get_origin(kind) is tuple for kind in known.kinds)
        if listed and isinstance(value, (str, list)):
            value = (value,) if isinstance(value, str) else tuple(value)
        if known.path and value is not None:
            value = _absolute(str(value))
        if name in ("rules", "training") or isinstance(known.choices, Registry):
            value = _parts(value)
        result[name] = value
    return result


def _parts(value: Any) -> Any:
    """Make the paths in specs of parts absolute."""
    if isinstance(value, tuple):
        return tuple(map(_part, value))
    return {key: _part(item) for key, item in value.items()} if isinstance(value, dict) else _part(value)


def _part(text: Any) -> Any:
    """Make the path in the spec of a part, "path/file.py:Rule(0.5)", absolute; leave a name alone."""
    spec, bracket, numbers = text.partition("(") if isinstance(text, str) else ("", "", "")
    return f"{_absolute(spec)}{bracket}{numbers}" if is_factory(spec) else text


def _absolute(spec: str) -> str:
    """Make the path in a spec absolute; leave ``package.module:factory`` alone."""
    if "://" in spec:
        return spec
    manifest, colons, split = spec.rpartition("::")
    if colons:
        after = (
            _at_home(split) if split.lower().endswith(".json") else split
        )  # annotations, else a split's name
        before = _absolute(manifest) if "::" in manifest else _at_home(manifest)
        return f"{before}::{after}"
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
