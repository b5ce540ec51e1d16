"""Severity levels and acceptance criteria: what is read of a file, and what a study says of it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.evaluation import Bound, Region
from hudd.settings.yaml_file import read_yaml
from hudd.summary import acceptance_record, read_requirements, severities_of, severity_of_errors, verdicts
from hudd.summary.severity import levels_of, severity_text

FILE = """
severity:
  - {level: grave, where: {class: person, prediction: {not: person}}}
  - {level: slight, where: {light: {below: 0.2}}}
criteria:
  - name: persons
    where: {class: person}
    at_most: 0.5
  - {where: {light: {at_least: 1e-1, below: .3}, weather: {not: 'no'}}, at_most: 1e-3, confidence: 0.99}
  - {name: grave, at_most: 0.3, severity: grave}
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "criteria.yaml").write_text(text)
        return tmp_path / "criteria.yaml"

    return write


def study(judge=None, counted=None, **parameters):
    """Six test images of two classes, the last without a label; a judge set where its predictions are given."""

    def split(prediction):
        label = np.array([0, 0, 1, 1, 1, -1])
        prediction = np.array(prediction)
        columns = {
            "light": np.array([0.1, 0.2, 0.1, 0.2, np.nan, 0.1]),
            "weather": np.array(["no", "snow", "no", "snow", "2", "no"], object),
        }
        return SimpleNamespace(
            label=label,
            prediction=prediction,
            correct=label == prediction,
            parameters=columns | parameters,
            attributes={"tilt": np.array([0, 10, 0, 0, 20, 5.0])},
            counted=np.ones(6, bool) if counted is None else np.array(counted, bool),
        )

    splits = {"test": split([0, 1, 0, 1, 1, 1])} | ({"judge": split(judge)} if judge else {})
    return SimpleNamespace(
        path="study",
        class_names=["person", "car"],
        settings=SimpleNamespace(attributes=()),
        task=SimpleNamespace(has_classes=True),
        split=splits.__getitem__,
        has=lambda name: name.removeprefix("splits/") in splits,
    )


def test_a_file_is_read(written):
    found = read_requirements(written(FILE))
    assert found.levels == ["grave", "slight"]
    first, second, third = found.criteria
    assert (first.name, first.at_most, first.confidence) == ("persons", 0.5, 0.95)
    assert first.region == Region((Bound("class", value="person"),))
    assert second.region == Region((Bound("light", 0.1, 0.3), Bound("weather", outside=True, value="no")))
    assert second.name == second.text == "P(fail | light in 0.1..0.3 and weather is not no) <= 0.001 at 99 %"
    assert (third.severity, third.region) == ("grave", Region())


def test_a_study_is_held_against_it_on_the_test_set(written):
    wanted = read_requirements(written(FILE))
    found = verdicts(study(), wanted)
    assert [(one.images, one.failures) for one in found] == [(2, 1), (2, 1), (5, 1)]
    record = acceptance_record(study(), wanted, found)
    assert record["about"] == "acceptance criteria on the test set; these images chose the clusters"
    assert record["severities"] == {"grave": 1, "slight": 1, "": 0}
    assert record["passed"] is False
    json.dumps(record, allow_nan=False)


def test_what_asks_about_attributes_is_counted_on_the_images_drawn(written):
    text = """
    severity: [{level: grave, where: {turn: {at_least: 5, below: 90}}}]
    criteria:
      - {where: {turn: {at_least: 5, below: 90}}, at_most: 0.5}
      - {where: {light: {below: 0.15}}, at_most: 0.5}
      - {at_most: 0.3}
      - {at_most: 0.3, severity: grave}
    """
    wanted = read_requirements(written(text))
    found = verdicts(study(counted=[1, 1, 1, 0, 0, 1]), wanted)
    assert [(one.images, one.failures) for one in found] == [(1, 1), (2, 1), (5, 2), (3, 1)]


def test_a_judge_set_comes_first(written):
    wanted = read_requirements(written(FILE))
    judged = study(judge=[1, 1, 1, 1, 1, 1])
    found = verdicts(judged, wanted)
    assert [(one.images, one.failures) for one in found] == [(2, 2), (2, 1), (5, 2)]
    assert acceptance_record(judged, wanted, found)["on"] == "judge"
    assert severities_of(judged, wanted, "judge").tolist() == ["grave", "grave", "", "", "", ""]
    assert severities_of(judged, wanted).tolist() == ["", "grave", "slight", "", "", ""]


def test_levels_of_a_study_are_told_of_its_errors_and_a_file_that_has_gone_is_told(written):
    held = study()
    held.errors = np.array([1, 2])
    held.settings.severity = None
    assert severity_of_errors(held) is None
    held.settings.severity = str(written(FILE))
    found = severity_of_errors(held)
    assert found.levels == ["grave", "slight"]
    assert found.level.tolist() == ["grave", "slight"]
    assert found.counts() == {"grave": 1, "slight": 1}
    assert found.counts(np.array([1])) == {"slight": 1}
    assert severity_text({"grave": 1234, "": 2}) == "grave 1,234, of no level 2"
    written("severity: [{level: a, where: {nothing: 1}}]")
    assert severity_of_errors(held) is None
    with pytest.raises(UsageError, match="asks about 'nothing'"):
        severities_of(held, levels_of(held))


@pytest.mark.parametrize(
    ("where", "images"),
    [
        ("weather: 2", 1),
        ("weather: {not: 2}", 4),
        ("light: 0.2", 2),
        ("light: {not: {below: 0.15}}", 2),
        ("light: {at_least: 0.1}", 4),
        ("prediction: car, class: person", 1),
        ("turn: {at_least: 5, below: 90}", 2),
    ],
)
def test_conditions(written, where, images):
    wanted = read_requirements(written(f"criteria: [{{where: {{{where}}}, at_most: 0.1}}]"))
    [found] = verdicts(study(), wanted)
    assert found.images == images


def test_turns_of_judge_images_are_against_the_test_images(written):
    wanted = read_requirements(written("criteria: [{where: {turn: {at_least: 5, below: 90}}, at_most: 0.1}]"))
    judged = study(judge=[1, 1, 1, 1, 1, 1])
    judged.split("judge").attributes["tilt"] = np.array([3, 6, 14, 16, 7, 80.0])
    [found] = verdicts(judged, wanted)
    assert (
        found.images == 2
    )  # of the first class from 5 on, of the second, whose usual tilt is 10, from 15 on


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "has no entries"),
        ("criteria: []", "criteria of .* is empty; give a list"),
        ("criteria: [3]", r"entry 1 of criteria in .* is 3; give it the keys at_most, confidence"),
        ("limits: [{}]", "has the key 'limits', which is unknown; known are: criteria, severity"),
        ("criteria: [{at_mots: 0.1}]", "unknown; known are: at_most, confidence, name"),
        ("criteria: [{name: a}]", "at_most of entry 1 .* is missing; give a number from 1e-09 to below 1"),
        ("criteria: [{at_most: 0}]", "at_most .* is 0; give"),
        ("criteria: [{at_most: 1.0}]", "at_most .* is 1.0; give"),
        ("criteria: [{at_most: yes}]", "at_most .* is 'yes'; give"),
        ("criteria: [{at_most: true}]", "at_most .* is true; give"),
        ("criteria: [{at_most: .1, confidence: 95}]", "confidence .* is 95; give a number from 0.5"),
        ("criteria: [{at_most: .1, name: }]", "name .* is missing; give a text"),
        ("criteria: [{at_most: .1}, {at_most: .1}]", "is called .* like another one"),
        ("criteria: [{at_most: .1, where: }]", "where .* is missing; .* leave it out for all images"),
        ("criteria: [{at_most: .1, where: {}}]", "where .* is empty; "),
        ("criteria: [{at_most: .1, where: {a: {below: 1, at_least: 1}}}]", "which no number is"),
        ("criteria: [{at_most: .1, where: {a: {below: x}}}]", "has the bound 'x'; give a number"),
        (
            "criteria: [{at_most: .1, where: {a: {above: 1}}}]",
            "a of .* is {'above': 1}; give a value, a range",
        ),
        ("criteria: [{at_most: .1, where: {a: [1, 2]}}]", r"a of .* is \[1, 2\]; give a value, a range"),
        ("criteria: [{at_most: .1, where: {a: {not: {not: 1}}}}]", "give a value, a range"),
        ("criteria: [{at_most: .1, severity: S3}]", "which is no level; list levels under 'severity'"),
        ("severity: [{level: S3}]", "where of entry 1 of severity .* is missing"),
        ("severity: [{where: {a: 1}}]", "level of entry 1 of severity .* is missing"),
    ],
)
def test_what_a_file_may_not_say(written, text, part):
    with pytest.raises(UsageError, match=part):
        read_requirements(written(text))


@pytest.mark.parametrize(
    ("where", "part"),
    [
        (
            "ligth: 1",
            "criterion .* asks about 'ligth', which the test set does not have; known are: 'light', ",
        ),
        ("height: 1", "does not have; known are: '(light|weather)', "),
        ("class: cat", "asks whether class is 'cat', but it is one of: 'person', 'car'"),
        ("weather: {not: rain}", "asks whether weather is 'rain', but it is one of: '2', 'no', 'snow'"),
        ("weather: {below: 3}", "asks for a range of weather, which is a text"),
        ("light: dark", "asks whether light is 'dark', and it is a number; give a range"),
    ],
)
def test_what_a_study_does_not_have(written, where, part):
    wanted = read_requirements(written(f"criteria: [{{where: {{{where}}}, at_most: 0.1}}]"))
    with pytest.raises(UsageError, match=part):
        verdicts(study(), wanted)


def test_what_is_asked_for_has_to_be_there(written):
    with pytest.raises(UsageError, match="has no acceptance criteria; list them"):
        verdicts(study(), read_requirements(written("severity: [{level: a, where: {light: 1}}]")))
    with pytest.raises(UsageError, match="has no severity levels; list them"):
        severities_of(study(), read_requirements(written("criteria: [{at_most: 0.1}]")))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1e-3", {"a": 0.001}),
        ("a: [no, on, 010, 12:30, 2024-01-01, '3', ~, null, true, -4, +.5, 1e5, '']",
         {"a": ["no", "on", "010", "12:30", "2024-01-01", "3", None, None, True, -4, 0.5, 1e5, ""]}),
        ("a:\n  - b: {}\n    c: []\n", {"a": [{"b": {}, "c": []}]}),
        ("", None),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(written, text, value):
    assert read_yaml(written(text), "things") == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\nb: 2\na: 3", "has 'a' twice in line 3; keep one"),
        ("a: &x [1]\nb: *x", "refers to another part of itself in line 1"),
        ("a: &x\n  b: *x", "refers to another part of itself"),
        ("a: !!python/object:os.system x", "has the tag .* in line 1; write plain values"),
        ("? [1]\n: 2", "has a key that is no text in line 1"),
        ("a: [1", "is not YAML .* in line 1"),
        ("--- 1\n--- 2", "is not YAML"),
        ("[" * 3000, "is not YAML .it is nested too deeply"),
        ("a: '" + "x" * (1 << 20), "has more than 1 MiB"),
    ],
)
def test_yaml_that_is_refused(written, text, part):
    with pytest.raises(UsageError, match=part):
        read_yaml(written(text), "things")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*; name a YAML file of things"):
        read_yaml(tmp_path / "none.yaml", "things")
    with pytest.raises(UsageError, match=r"cannot be read .is a directory."):
        read_yaml(tmp_path, "things")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"is not YAML .it is not text in UTF-8."):
        read_yaml(tmp_path / "bytes", "things")
