"""Tasks by name, and what a classification refuses."""

import numpy as np
import pytest

from hudd.data.arrays import ArraySource
from hudd.errors import HuddError, UsageError
from hudd.tasks import TaskSubject, make_task


def source(labels):
    count = len(labels)
    names = [f"{row}.png" for row in range(count)]
    return ArraySource(np.zeros((count, 4, 4), np.uint8), names, labels, [str(n) for n in range(6)])


def columns(prediction):
    some = np.zeros(len(prediction), np.float32)
    return {"prediction": np.asarray(prediction), "score": some, "entropy": some}


def judged(prediction, *, facts=None, **subject):
    task = make_task(None, TaskSubject(**subject))
    return task.judge(columns(prediction), source(np.zeros(len(prediction), int)), facts)


def test_a_dnn_that_gets_everything_wrong_is_no_classifier_for_certain():
    with pytest.raises(HuddError, match=r"gets all 30 test images wrong.*`task='classification'`"):
        judged([5] * 30)


@pytest.mark.parametrize(
    ("prediction", "choices"),
    [
        ([5] * 29 + [0], {}),
        ([5] * 19, {}),
        ([5] * 30, {"stated": True}),
        ([5] * 30, {"class_names": [str(n) for n in range(6)]}),
        ([5] * 30, {"facts": {}}),  # of the training set
    ],
    ids=["one right", "few images", "stated", "named", "another set"],
)
def test_one_that_may_be_a_bad_classifier_is_tested(prediction, choices):
    found = judged(prediction, **choices)
    assert (found.correct == (np.array(prediction) == 0)).all()


def test_a_task_must_be_one():
    with pytest.raises(UsageError, match="choose one of: classification"):
        make_task("segmentation", TaskSubject())
    with pytest.raises(UsageError, match="made an object of type str"):
        make_task("builtins:str", TaskSubject())
