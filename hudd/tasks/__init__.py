"""What a DNN is there for: what its labels and outputs mean, what an error is, what is explained and trained on."""

from hudd.tasks.base import Judgement, Task, TaskSubject
from hudd.tasks.classification import Classification
from hudd.tasks.registry import DEFAULT_TASK, infer_task, make_task

__all__ = ["DEFAULT_TASK", "Classification", "Judgement", "Task", "TaskSubject", "infer_task", "make_task"]
