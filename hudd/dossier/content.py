"""What a safety dossier says, as data: written to JSON by a schema, ``schemas/dossier.schema.json``, and read back."""

from __future__ import annotations

import dataclasses
import json
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hudd.errors import HuddError
from hudd.review.decisions import Decision
from hudd.text import to_json

T = TypeVar("T")
FORMAT, VERSION = "hudd-dossier", 1
Status = Literal["open", "confirmed", "mitigated", "accepted"]


@dataclass(frozen=True)
class System:
    """The DNN: where it comes from, the SHA-256 of its weights file and of the loaded model, what it answers."""

    model: str
    weights_sha256: str
    model_sha256: str
    task: str
    classes: list[str]


@dataclass(frozen=True)
class DataSet:
    """A set of images; `digest` is the SHA-256 of names, labels, parameters and contents."""

    name: str
    use: str
    source: str
    images: int
    labelled: int
    failures: int
    digest: str


@dataclass(frozen=True)
class Extent:
    """The values of one parameter or attribute among the test and training images.

    Numbers have `low` and `high` of the test set and `train_low` and `train_high` of the training set; texts have
    `values`. `used` says whether a condition asks for it.
    """

    name: str
    kind: Literal["parameter", "attribute"]
    unit: str
    low: float | None
    high: float | None
    train_low: float | None
    train_high: float | None
    values: list[str]
    used: bool


@dataclass(frozen=True)
class Domain:
    """The operational design domain as the user states it, and what the images cover."""

    statement: str
    extents: list[Extent]


@dataclass(frozen=True)
class Rate:
    """Failures among images, with Wilson's 95 % interval."""

    images: int
    failures: int
    rate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Exposure:
    """How many images of a set fulfil a condition."""

    set: str
    images: int
    of: int


@dataclass(frozen=True)
class Seen:
    """The shortest range of a parameter with 95 % of the failures of a condition that fulfil it.

    Of an angle, `low` may exceed `high`: the range then runs through the end of the period.
    """

    parameter: str
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """What one retraining run did to images: fixed, regressed, the failures left, McNemar's exact test.

    Of triggering conditions `p_value` is adjusted over the conditions by Holm's method.
    """

    strategy: str
    run: int
    weights: str
    weights_sha256: str | None
    set: str
    before: Rate
    after: Rate
    fixed: int
    regressed: int
    p_value: float
    excess_p_value: float | None


@dataclass(frozen=True)
class TriggeringCondition:
    """A cause of failures, as a condition on the input.

    Attributes
    ----------
    identifier : str
        Of condition, model and test data: the same study gives the same one.
    cause : int
        Number of the cause in the study.
    name, condition : str
        What it is called; the rule in words, "" where there is none.
    region : list of dict or None
        The rule as data: ``parameter``, ``low``, ``high``, ``value``, ``outside``, see the format of a study.
    seen : list of Seen
        Where in the region the failures were: its bounds may lie anywhere between these and other images.
    errors : int
        Failures that were found to have this cause.
    share : Rate
        Those among all failures.
    purity, recall : float or None
        Share of the images in the region that are errors of the cause; share of these errors that lie in the region.
    p_value : float or None
        Of the rule, adjusted over causes.
    rate : Rate or None
        Failures among images in the region, counted on images that did not choose the rule.
    lift, share_of_failures, rate_p_value : float or None
        The rate over that of all images; share of all failures in the region; p of the rate, adjusted.
    counted_on : str
        What these images are: "judge", the judge set; "test", test images that were each counted by a rule that was
        found without them.
    severity : dict of str to int
        Level to the failures of that severity, "" for none; empty where the study has no levels.
    exposure : list of Exposure
        Images of each set in the region, of those of which all is known that it asks about.
    status : str
        "open": the failure rate is not confirmed, or there is no rule; "confirmed"; "mitigated": every run of
        retraining fixed more than it broke, and none fails more often in the region than outside; "accepted" by a
        person.
    residual : Change or None
        What retraining did in the region.
    decision : Decision or None
        What a person decided.
    """

    identifier: str
    cause: int
    name: str
    condition: str
    region: list[dict[str, Any]] | None
    seen: list[Seen]
    errors: int
    share: Rate
    purity: float | None
    recall: float | None
    p_value: float | None
    rate: Rate | None
    lift: float | None
    share_of_failures: float | None
    rate_p_value: float | None
    counted_on: Literal["judge", "test"]
    severity: dict[str, int]
    exposure: list[Exposure]
    status: Status
    residual: Change | None
    decision: Decision | None


@dataclass(frozen=True)
class Method:
    """How the results came about and what they do not show; versions; how to get them again."""

    steps: list[str]
    limits: list[str]
    cautions: list[str]
    versions: dict[str, str]
    command: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Clause:
    """What a clause asks for, in brief, and what of the dossier speaks to it; `yours` is what stays the user's own."""

    clause: str
    asks: str
    answer: str
    yours: str


@dataclass(frozen=True)
class Standard:
    """A standard or regulation with the clauses that the dossier speaks to."""

    name: str
    clauses: list[Clause]


@dataclass(frozen=True)
class Picture:
    """An image of a condition: identifier, hash of its pixels, label and answer of the DNN."""

    path: str
    digest: str | None
    label: str
    prediction: str


@dataclass(frozen=True)
class Dossier:
    """All of it.

    `finished` is when the study's last step ended, `base` the failures among the labelled test images, `uncovered`
    those failures of the judge set, or else of the test set, that lie in no confirmed condition; `images` maps
    identifiers to their failures.
    """

    format: str
    version: int
    study: str
    finished: str
    system: System
    data: list[DataSet]
    domain: Domain
    base: Rate
    uncovered: Rate
    conditions: list[TriggeringCondition]
    retraining: list[Change]
    method: Method
    standards: list[Standard]
    images: dict[str, list[Picture]]

    def to_json(self) -> bytes:
        """Return the JSON file."""
        return to_json(dataclasses.asdict(self), indent=1, allow_nan=False) + b"\n"

    @classmethod
    def from_json(cls, content: bytes | str) -> Dossier:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        HuddError
            If it is something else.
        """
        try:
            found = json.loads(content)
            if (found["format"], found["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is no {FORMAT} of version {VERSION}")
            dossier: Dossier = _read(cls, found)
            return dossier
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise HuddError(f"this is no dossier that hudd has written ({error}).") from error


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a dossier."""
    found: dict[str, Any] = json.loads(
        Path(__file__).with_name("schemas").joinpath("dossier.schema.json").read_bytes()
    )
    return found


def _read(kind: Any, value: Any) -> Any:
    """Return a value that JSON held as the type that a field has."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return (
            None if value is None else _read(next(one for one in arguments if one is not type(None)), value)
        )
    if origin is list:
        return [_read(arguments[0], each) for each in value]
    if origin is dict:
        return {key: _read(arguments[1], each) for key, each in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        if unknown := value.keys() ^ hints.keys():
            raise ValueError(f"{kind.__name__} has other fields than {', '.join(sorted(unknown))}")
        return kind(**{name: _read(hint, value[name]) for name, hint in hints.items()})
    return value
