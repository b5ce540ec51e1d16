"""Numbers, angles and landmarks: what counts as an error, what is explained, what is learned."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hudd.data.arrays import ArraySource
from hudd.errors import UsageError
from hudd.tasks import TaskSubject, infer_task, make_task
from hudd.tasks.choices import difference
from hudd.tasks.losses import NumbersLoss, PlacesLoss

ANGLES = st.floats(-1e4, 1e4, allow_nan=False)


def source(**columns):
    count = len(next(iter(columns.values())))
    images = np.zeros((count, 8, 8), np.uint8)
    return ArraySource(images, [f"{row}.png" for row in range(count)], np.full(count, -1), [], columns)


def made(task, found, targets, **choices):
    return make_task(task, TaskSubject(targets=targets, test=lambda: found, **choices))


@given(ANGLES, st.floats(-179, 179), st.integers(-3, 3))
def test_angles_go_the_shorter_way_round(angle, off, turns):
    period = np.array([360.0])
    found = difference(np.array([[angle + off + 360 * turns]]), np.array([[angle]]), period)[0, 0]
    assert found == pytest.approx(off, abs=1e-6)
    loss = NumbersLoss("l1", [360.0])
    small = (
        torch.tensor([[angle % 360 + off]], dtype=torch.float32),
        torch.tensor([[angle % 360 + 360 * turns]]),
    )
    assert float(loss(*small)) == pytest.approx(abs(off), abs=1e-2)


@given(st.lists(st.tuples(ANGLES, ANGLES), min_size=1, max_size=5), st.floats(0.5, 720))
def test_no_angle_is_off_by_more_than_half_a_turn(pairs, period):
    a, b = np.array(pairs).T[:, :, None]
    found = difference(a, b, np.array([period]))
    assert (np.abs(found) <= period / 2 * (1 + 1e-9)).all()
    np.testing.assert_allclose(np.abs(found), np.abs(difference(b, a, np.array([period]))), atol=1e-6)


def test_errors_across_0_and_360_degrees_are_small():
    found = source(yaw=[359.0, 1.0, 180.0], width=[1.0, 2.0, 3.0])
    task = made("regression", found, ("yaw",), threshold="5", angles={"yaw": 360})
    judged = task.judge({"output": np.array([[1.0], [358.0], [190.0]])}, found, None)
    np.testing.assert_allclose(judged.values["off"][:, 0], [2, 3, 10])
    assert judged.correct.tolist() == [True, True, False]


def test_the_output_that_is_farthest_off_for_its_threshold_is_the_outcome():
    found = source(a=[0.0, 0.0, 0.0], b=[0.0, 0.0, 0.0])
    task = made("regression", found, ("a", "b"), threshold="a=1,b=10")
    judged = task.judge({"output": np.array([[0.5, 9.0], [2.0, 15.0], [0.0, 11.0]])}, found, None)
    names = task.outcomes(found)
    assert [names[number] for number in judged.prediction] == ["within", "a", "b"]
    np.testing.assert_allclose(judged.score, [0.9, 2, 1.1], rtol=1e-6)
    assert judged.explained.tolist() == [1, 0, 1]
    output = torch.tensor([[0.5, 9.0], [2.0, 15.0], [0.0, 11.0]])
    entered = task.explain(torch.from_numpy(judged.explained))(output)
    assert entered.tolist() == [[0, 9], [2, 0], [0, 11]]


def test_a_share_of_the_test_set_makes_the_threshold_of_every_set():
    values = np.arange(100.0)
    found, other = source(a=np.zeros(100)), source(a=np.zeros(2))
    task = made("regression", found, ("a",), threshold="90%")
    judged = task.judge({"output": values[:, None]}, found, None)
    assert (~judged.correct).sum() == 10
    again = task.judge({"output": np.array([[80.0], [95.0]])}, other, judged.facts)
    assert again.correct.tolist() == [True, False]


def test_a_group_is_judged_and_explained_alone():
    found = source(mouth_left=[0.0], mouth_right=[0.0], nose=[0.0])
    task = made("regression", found, ("mouth_*", "nose"), threshold="1", explained="mouth_*")
    judged = task.judge({"output": np.array([[0.5, -0.5, 9.0]])}, found, None)
    assert judged.correct.all()
    entered = task.explain(torch.from_numpy(judged.explained))(torch.tensor([[0.5, -0.5, 9.0]]))
    assert entered.tolist() == [[0.5, -0.5, 0]]


def places(**more):
    columns = {"left_x": [1.0, 2.0], "left_y": [1.0, 2.0], "right_x": [5.0, np.nan], "right_y": [1.0, np.nan]}
    return source(**columns, **more)


def test_landmarks_are_measured_by_their_distance_and_may_be_unknown():
    found = places()
    names = tuple(found.parameters)
    assert infer_task(names, found) == "keypoints"
    task = made("keypoints", found, names, threshold="2", normalise=())
    output = np.array([[1.0, 4.0, 5.0, 1.0], [2.0, 2.0, 99.0, 99.0]], np.float32)
    judged = task.judge({"output": output, "maps": np.zeros((2, 2))}, found, None)
    np.testing.assert_allclose(judged.values["off"], [[3, 0], [0, np.nan]])
    assert judged.correct.tolist() == [False, True]
    assert list(task.parameters(places(light=[1, 2]))) == ["light"]


def test_errors_are_divided_by_the_distance_of_two_landmarks_or_a_column():
    found = source(left_x=[1.0], left_y=[1.0], right_x=[5.0], right_y=[1.0], size=[2.0])
    columns = {"output": np.array([[1.0, 4.0, 5.0, 1.0]]), "maps": np.zeros((1, 2))}
    for by, expected in ((("left", "right"), 0.75), (("size",), 1.5)):
        task = made("keypoints", found, tuple(found.parameters)[:4], threshold="2", normalise=by)
        assert task.judge(columns, found, None).values["off"][0, 0] == pytest.approx(expected)


def test_maps_are_read_in_the_unit_of_the_targets():
    found = places()
    task = made("keypoints", found, tuple(found.parameters), threshold="2")
    maps = torch.zeros(2, 2, 4, 4)
    maps[:, :, 1, 2] = 1e6  # of an input of 8 x 8 pixels: x 4, y 2
    columns = task.read(task.keep(maps).numpy(), "")
    np.testing.assert_allclose(task.located(columns), np.tile([4.0, 2.0], (2, 2)), atol=1e-3)
    explained = task.explain(torch.tensor([1, 0]))(maps)
    assert torch.equal(explained.flatten(2).abs().sum(2) > 0, torch.tensor([[False, True], [True, False]]))


@pytest.mark.parametrize("kind", ["mse", "l1", "wing"])
def test_unknown_targets_teach_nothing(kind):
    output = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    NumbersLoss(kind, [np.inf, np.inf])(output, torch.tensor([[0.0, np.nan], [3.0, 2.0]])).backward()
    assert (output.grad != 0).tolist() == [[True, False], [False, True]]


def test_maps_learn_peaks_at_the_landmarks():
    maps = torch.zeros(1, 1, 8, 8, requires_grad=True)
    PlacesLoss("mse", [[0, 0], [16, 16]])(maps, torch.tensor([[6.0, 10.0]])).backward()
    assert int((-maps.grad).flatten().argmax()) == 5 * 8 + 3


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_a_loss_of_a_factory_gets_outputs_in_the_shape_of_the_targets(shape):
    found = places()
    config = made("keypoints", found, tuple(found.parameters), threshold="2").training(
        {"loss": "torch.nn:SmoothL1Loss"}
    )
    output, target = torch.randn(3, *shape), torch.randn(3, 4)
    expected = torch.nn.functional.smooth_l1_loss(output.flatten(1), target)
    torch.testing.assert_close(config.loss_function()(output, target), expected)
    assert "SmoothL1Loss" in config.describe()["loss"]


@pytest.mark.parametrize("task", ["regression", "keypoints"])
@pytest.mark.parametrize("loss", ["cross-entropy", "hinge"])
def test_losses_of_classes_are_refused(task, loss):
    with pytest.raises(UsageError, match="choose one of: mse, l1, wing, or"):
        made(task, places(), ("left_x", "left_y"), threshold="2").training({"loss": loss})


@given(st.integers(8, 40), st.integers(8, 40), st.data())
def test_a_peak_of_a_map_is_found_where_it_is(width, height, data):
    x, y = (data.draw(st.floats(1.5, side - 2.5)) for side in (width, height))
    columns, rows = torch.arange(width), torch.arange(height)
    peak = torch.exp(-((columns - x) ** 2 + (rows[:, None] - y) ** 2) / 2)[None, None] + 0.02
    kept = made("keypoints", places(), ("left_x", "left_y"), threshold="2").keep(peak)
    assert np.abs(kept.numpy()[0, :2] - [x, y]).max() < 0.8
