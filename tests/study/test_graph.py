"""The graph of the steps: order, what falls with what, and declarations that do not fit each other."""

import pytest

from hudd.errors import UsageError
from hudd.study.graph import Declaration, Graph
from hudd.study.study import GRAPH, STEPS

AFTER_THE_CHOICE = ["evaluate", "judge", "select", "retrain"]
ALL = ["layers", "heatmaps", "distances", "cluster", "choice", *AFTER_THE_CHOICE]


def test_the_order_of_the_steps():
    assert STEPS == ("test", "heatmaps", "distances", "cluster", "evaluate", "select", "retrain")


@pytest.mark.parametrize(
    ("key", "after"),
    [
        ("test", ALL),
        ("test/test", ALL),
        ("test/train", ["retrain"]),
        ("test/improvement", ["select", "retrain"]),
        ("layers", ALL[1:]),
        ("heatmaps", ALL[2:]),
        ("distances", ALL[3:]),
        ("distances/conv1", ["cluster/conv1", *ALL[4:]]),
        ("cluster/conv1", ALL[4:]),
        ("choice", AFTER_THE_CHOICE),
        ("select", ["retrain"]),
        ("retrain/hudd/0", []),
        ("evaluate", ["judge"]),
        ("judge", []),
        ("test/judge", ["evaluate", "judge", "retrain"]),
    ],
)
def test_what_falls_with_a_result(key, after):
    assert GRAPH.after(key) == after


@pytest.mark.parametrize(
    ("step", "needs"),
    [
        ("test", ["test"]),
        ("evaluate", ["test", "heatmaps", "distances", "cluster", "evaluate"]),
        ("retrain", ["test", "heatmaps", "distances", "cluster", "select", "retrain"]),
    ],
)
def test_what_a_step_needs(step, needs):
    assert [found.name for found in GRAPH.up_to(step)] == needs


@pytest.mark.parametrize(
    ("key", "outputs"),
    [
        ("test", ["splits", "error", "class"]),
        ("distances", ["layers/*/distance"]),
        ("distances/conv1", ["layers/conv1/distance"]),
        ("choice", ["clusters"]),
    ],
)
def test_where_a_result_lies(key, outputs):
    assert GRAPH.outputs(key) == outputs


def test_a_step_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="step 'rest' is unknown; choose one of: test, heatmaps"):
        GRAPH["rest"]


@pytest.mark.parametrize(
    "requires",
    [
        {"a": ("nothing",)},
        {"a": ("b",), "b": ("a",)},
        {"a": ("a",)},
    ],
)
def test_steps_without_an_order_are_refused(requires):
    steps = [Declaration(name=name, requires=needed, outputs={name: ()}) for name, needed in requires.items()]
    with pytest.raises(ValueError, match="nothing makes what these require: a"):
        Graph(steps)


def test_a_step_more_is_a_declaration_more():
    more = Declaration(name="dossier", requires=("evaluate",), outputs={"dossier": ("dossier",)})
    graph = Graph([*map(GRAPH.__getitem__, STEPS), more])
    assert graph.names == (
        "test",
        "heatmaps",
        "distances",
        "cluster",
        "evaluate",
        "dossier",
        "select",
        "retrain",
    )
    assert graph.after("choice") == ["evaluate", "judge", "dossier", "select", "retrain"]
