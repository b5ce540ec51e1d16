import json

import numpy as np
import pytest

from hudd.report import write_report
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


def known(study, monkeypatch, *, rule="a < 3", rule_p=0.05, p=0.01, **columns):
    """Give the fake study parameters, each as its reduction and shift, the same in every cluster."""
    labels = np.unique(study.clusters.label)
    names, values = list(columns), np.array(list(columns.values()))
    for name in names:
        study.split("test").parameters[name] = np.arange(len(study.split("test").path), dtype=float)
    found = {
        "variance": {
            "cluster": labels,
            "parameter": np.array(names, object),
            "reduction": np.tile(values[:, 0], (len(labels), 1)),
            "shift": np.tile(values[:, 1], (len(labels), 1)),
            "p_value": np.full(len(labels), p),
            "share_reduced_by_half": 0.133,
            "share_reduced_by_chance": 0.14,
        },
        "rules": {
            "cluster": labels,
            "text": np.full(len(labels), rule, object),
            "parameters": np.full(len(labels), json.dumps([rule.split()[0]] if rule else []), object),
            "p_value": np.full(len(labels), rule_p),
            "precision": np.ones(len(labels)),
            "recall": np.ones(len(labels)),
        },
    }
    monkeypatch.setattr(type(study), "evaluation", property(lambda self: found))
    return study


CONSTANTS = {"blur": (1.0, 0.2), "angle": (1.0, 0.5), "contrast": (0.98, 2.5), "severity": (0.1, 0.1)}


def test_the_parameter_of_the_rule_comes_first_and_constants_by_their_shift(make_study, monkeypatch):
    study = known(make_study(), monkeypatch, rule="contrast < 0.2", **CONSTANTS)
    for cluster in gather(study).clusters:
        assert [one.name for one in cluster.parameters] == ["contrast", "angle", "blur", "severity"]
        assert [one.name for one in cluster.parameters if one.told] == ["contrast"]
        assert cluster.rule.text == "contrast < 0.2"
        assert not cluster.by_chance


def test_what_chance_finds_as_well_is_not_told(make_study, monkeypatch):
    study = known(make_study(), monkeypatch, rule="contrast < 0.2", rule_p=0.15, p=0.75, **CONSTANTS)
    for cluster in gather(study).clusters:
        assert [one.name for one in cluster.parameters] == ["angle", "blur", "contrast", "severity"]
        assert not any(one.told for one in cluster.parameters)
        assert cluster.rule is None
        assert cluster.by_chance
    page = write_report(study).read_text("utf-8")
    assert "contrast &lt; 0.2" not in page
    assert page.count('class="mix parameters by-chance"') == page.count("p = 0.75, as by chance") == 3
    assert 'class="tight"' not in page
    assert "13.3 %" in page
    assert "14.0 % by chance" in page


def test_without_a_rule_the_most_telling_parameter_is_told(make_study, monkeypatch):
    study = known(make_study(), monkeypatch, rule="", **CONSTANTS)
    for cluster in gather(study).clusters:
        assert [one.name for one in cluster.parameters if one.told] == ["angle"]
    assert "p = 0.01<" in write_report(study).read_text("utf-8")


@pytest.mark.parametrize("kept", [{"cluster": np.empty(0, np.int64)}, {}])
def test_single_errors_have_nothing_in_common(make_study, monkeypatch, kept):
    study = make_study(count=4, steps=())
    study.clusters.label, study.clusters.medoid = np.arange(1, 5), np.arange(4)
    chance = {"share_reduced_by_half": 0.0, "share_reduced_by_chance": 0.0}
    purity = {"weighted_purity": np.nan, "coverage": 0.0}
    for found in ({"variance": {**kept, **chance}}, {"purity": {**kept, **purity}}, {"rules": kept}):
        monkeypatch.setattr(type(study), "evaluation", property(lambda self, found=found: found))
        for cluster in gather(study).clusters:
            assert cluster.parameters == []
            assert cluster.rule is None
        page = write_report(study).read_text("utf-8")
        assert ("<dd>–</dd>" in page) == ("rules" not in found)
