import numpy as np
import pytest

from hudd.report.facts import gather


@pytest.mark.parametrize("turn", [0, 90, 200, 355])
def test_spread_of_an_angle_turns_with_it(make_study, turn):
    study = make_study()
    angle = study.split("test").parameters["angle"]
    straight = {c.label: c.parameters[0] for c in gather(study).clusters}
    study.settings.angles["angle"] = 360
    angle[:] = (angle + turn) % 360
    for cluster in gather(study).clusters:
        (own,), plain = cluster.parameters, straight[cluster.label]
        assert min(own.mean, own.low, own.high) >= 0
        apart = np.array([own.mean - plain.mean, own.low - plain.low, own.high - plain.high]) - turn
        # the circular mean of some ten degrees' scatter is close to the mean of the same values on a line
        assert np.abs((apart + 180) % 360 - 180).max() < 1
