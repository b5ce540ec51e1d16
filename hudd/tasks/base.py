"""What a task is: everything that a study's steps have to know of the meaning of labels and outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hudd.attributes import Attribute
from hudd.language import marked

if TYPE_CHECKING:
    import torch

    from hudd.data import ImageSource
    from hudd.lrp.targets import Target
    from hudd.retraining import Predictions, TrainingConfig


@dataclass(frozen=True)
class TaskSubject:
    """What a task is made for: the choices of a study's settings.

    Attributes
    ----------
    class_names : sequence of str or None
        Names of the outputs in order, where the settings or the model give them.
    targets : sequence of str
        Columns of the data that hold the numbers to predict, globs allowed; none: those that the data say themselves.
    threshold : str or None
        From where on an error counts, see :func:`hudd.tasks.choices.thresholds`.
    explained : str
        What is judged and explained, see :class:`hudd.tasks.choices.Explained`.
    normalise : sequence of str
        What errors are divided by: a column of the data, or two landmarks, whose distance.
    angles : mapping of str to float
        Columns that are angles, with their period.
    test : callable or None
        Returns the test set; None where results are only read.
    named_by : str
        Who gives them, as the beginning of a sentence.
    stated : bool
        The task was asked for by name; else it is what a study without such a word has.
    """

    class_names: Sequence[str] | None = None
    targets: Sequence[str] = ()
    threshold: str | None = None
    explained: str = "worst"
    normalise: Sequence[str] = ()
    angles: Mapping[str, float] = field(default_factory=dict)
    test: Callable[[], ImageSource] | None = None
    named_by: str = "`classes` gives"
    stated: bool = False


@dataclass(frozen=True)
class Judgement:
    """What a DNN's outputs for N images are, held against what they should be.

    Attributes
    ----------
    label : numpy.ndarray
        (N,) int64 number of the outcome that would be right, see :meth:`Task.outcomes`; -1 where that is not known.
    prediction : numpy.ndarray
        (N,) int64 number of the outcome that there is; an image is an error where it differs from a known label.
    score : numpy.ndarray
        (N,) float32, the higher the graver where it is an error; see :attr:`Task.score`.
    entropy : numpy.ndarray
        (N,) float32 entropy of the DNN's probabilities in nats; zeros where there are none.
    explained : numpy.ndarray or None
        (N,) int64 number of what is explained, as :meth:`Task.explain` takes it; None for the predictions.
    values : dict of str to numpy.ndarray
        What else is kept of each image, (N, ...) each, by name.
    facts : dict
        Of the test set, what JSON can hold and the judgement of other images needs.
    """

    label: np.ndarray
    prediction: np.ndarray
    score: np.ndarray
    entropy: np.ndarray
    explained: np.ndarray | None = None
    values: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool, whether the outcome is the right one."""
        correct: np.ndarray = self.prediction == self.label
        return correct


class Task(ABC):
    """Base class of the tasks that a DNN may have. Each use makes its own instance, from a :class:`TaskSubject`.

    Outputs are read twice: :meth:`keep` sees each batch and says what to keep of it, :meth:`read` sees what was kept of
    some thousand images and makes columns of it, which :meth:`judge` holds against the data. No method may make an
    image depend on others in its batch.

    Attributes
    ----------
    columns : tuple of str
        Names of the arrays that :meth:`read` returns.
    attributes : tuple of Attribute
        Those of the columns that are kept as attributes of the images, numbers that may tell why a DNN fails.
    has_entropy : bool
        Whether the outputs say how certain the DNN is, so that strategies may select by their entropy.
    has_classes : bool
        Outcomes are classes, which people can give to images as labels.
    part : str
        What one of the things is called that :meth:`measure` tells the error of.
    score : str
        What the mean score of a cluster's errors is, in a word or two, for reports.
    """

    columns: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    has_entropy = False
    has_classes = False
    part = marked("output")
    score = marked("gravity")

    @abstractmethod
    def __init__(self, subject: TaskSubject) -> None: ...

    def mark(self) -> list[Any]:
        """Return what judgements depend on besides the DNN and the data, as JSON can hold it."""
        return []

    @abstractmethod
    def check(self, output: torch.Tensor, sources: Mapping[str, ImageSource]) -> None:
        """Refuse a DNN or data that are not of this task.

        Parameters
        ----------
        output : Tensor
            (1, ...) what the DNN returns for the first test image.
        sources : mapping of str to ImageSource
            The sets "test", "train" and "improvement", those that there are.

        Raises
        ------
        UsageError
            Saying what does not fit and what helps.
        """

    def scale(self, model: torch.nn.Module, examples: torch.Tensor) -> str:
        """Return in a word or two what the outputs are; `examples` are (n, C, H, W) inputs."""
        return "numbers"

    @abstractmethod
    def outcomes(self, source: ImageSource) -> list[str]:
        """Return the name of every outcome, in the order of their numbers; `source` is the test set."""

    def keep(self, output: torch.Tensor) -> torch.Tensor:
        """Return what is kept of the outputs for a batch, (n, ...); by default all."""
        return output

    @abstractmethod
    def read(self, kept: np.ndarray, scale: str) -> dict[str, np.ndarray]:
        """Return :attr:`columns`, each (N, ...), from what was kept of the outputs for N images.

        `scale` is what :meth:`scale` returned.
        """

    @abstractmethod
    def judge(
        self, columns: Mapping[str, np.ndarray], source: ImageSource, facts: Mapping[str, Any] | None
    ) -> Judgement:
        """Hold the columns of all images of a set against the data.

        Parameters
        ----------
        columns : mapping
            What :meth:`read` made.
        source : ImageSource
            The set.
        facts : mapping or None
            What the judgement of the test set noted; None where this is the test set.

        Raises
        ------
        HuddError
            If what there is cannot be judged, such as a test set that the DNN gets wrong altogether.
        """

    @abstractmethod
    def explain(self, numbers: torch.Tensor) -> Target:
        """Return the LRP target for what is explained of the images of a batch, (n,) int64; see Judgement."""

    def about(self) -> str:
        """Return what is explained, in words, for the study's file."""
        return "the output that was asked for"

    @abstractmethod
    def training(self, options: Mapping[str, Any]) -> TrainingConfig:
        """Return how the DNN is retrained; `options` are those that the settings give, the loss among them."""

    @abstractmethod
    def targets(self, source: ImageSource, labels: np.ndarray) -> np.ndarray:
        """Return what the DNN is to learn for every image, (N,) int64 or (N, ...) float32.

        `labels` are the outcomes that would be right, those that were given after the fact among them.
        """

    @abstractmethod
    def right(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray:
        """Say which images of a set a retrained DNN gets right, (N,) bool."""

    def measure(self, found: Predictions, source: ImageSource, facts: Mapping[str, Any]) -> np.ndarray | None:
        """Return how far off a retrained DNN is, (N, P), NaN where that is not known.

        That is what the judgement of a test set keeps as the value "off" of the P parts that its facts name as "parts".
        None, the default, of a task that has no such errors.
        """
        return None

    def parameters(self, source: ImageSource) -> dict[str, np.ndarray]:
        """Return what of the data is known about each image besides what it is to be, by name."""
        return source.parameters

    def draw(
        self, picture: np.ndarray, values: Mapping[str, np.ndarray], facts: Mapping[str, Any]
    ) -> np.ndarray:
        """Return an image, (H, W, 3) uint8, with what is right and what the DNN says drawn on it.

        `values` are those of the image, see :class:`Judgement`. By default nothing is drawn.
        """
        return picture

    def figures(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return figures about the test set for ``hudd show``, by name, as text."""
        return {}

    def cautions(self, label: np.ndarray, prediction: np.ndarray, names: Sequence[str]) -> list[str]:
        """Return what casts doubt on the error rate of the test set, a sentence each; see :class:`Judgement`."""
        return []
