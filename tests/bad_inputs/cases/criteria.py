"""Acceptance criteria and severity levels that cannot be held against a study."""

from __future__ import annotations

from case import Prepare, add, write

_CRITERIA = "Acceptance criteria"
_CALL = "check study --criteria bad.yaml"


def _file(text: str | bytes) -> Prepare:
    return lambda: write("bad.yaml", text)


def _criterion(text: str) -> Prepare:
    return _file(f"criteria: [{{{text}}}]\n")


add(_CRITERIA, "No file of criteria named", "check study")
add(_CRITERIA, "A file of criteria that is not there", _CALL)
add(_CRITERIA, "A folder in place of criteria", "check study --criteria .")
add(_CRITERIA, "Criteria that are no text", _CALL, _file(b"\xff\xfe\x00"))
add(_CRITERIA, "Criteria that are not YAML", _CALL, _file("criteria: [\n"), foreign=r"expected[^)]*")
add(_CRITERIA, "A key twice in criteria", _CALL, _criterion("at_most: 0.1, at_most: 0.9"))
add(_CRITERIA, "Criteria with a tag", _CALL, _criterion("at_most: !!python/name:os.system 1"))
add(
    _CRITERIA,
    "Criteria that refer to themselves",
    _CALL,
    _criterion("at_most: 0.1, where: &all {class: *all}"),
)
add(_CRITERIA, "A file of criteria with nothing in it", _CALL, _file(""))
add(
    _CRITERIA,
    "Severity levels without criteria",
    _CALL,
    _file("severity: [{level: S3, where: {class: ant}}]\n"),
)
add(_CRITERIA, "An unknown key of a criterion", _CALL, _criterion("at_least: 0.1"))
add(_CRITERIA, "A criterion without a limit", _CALL, _criterion("where: {class: ant}"))
add(_CRITERIA, "A limit of no failure at all", _CALL, _criterion("at_most: 0"))
add(_CRITERIA, "A limit in per cent", _CALL, _criterion("at_most: 2"))
add(_CRITERIA, "A confidence in per cent", _CALL, _criterion("at_most: 0.1, confidence: 95"))
add(_CRITERIA, "A criterion twice", _CALL, _file("criteria: [{at_most: 0.1}, {at_most: 0.1}]\n"))
add(_CRITERIA, "A condition without a column", _CALL, _criterion("at_most: 0.1, where: {}"))
add(
    _CRITERIA,
    "A range that no number is in",
    _CALL,
    _criterion("at_most: 0.1, where: {width: {at_least: 3, below: 2}}"),
)
add(_CRITERIA, "A condition that is a list", _CALL, _criterion("at_most: 0.1, where: {class: [ant, bee]}"))
add(
    _CRITERIA,
    "A condition on a column that the data do not have",
    _CALL,
    _criterion("at_most: 0.1, where: {widht: 3}"),
)
add(
    _CRITERIA,
    "A condition on a class that there is not",
    _CALL,
    _criterion("at_most: 0.1, where: {class: wasp}"),
)
add(
    _CRITERIA,
    "A condition on a text that no image has",
    _CALL,
    _criterion("at_most: 0.1, where: {cause: {not: blurr}}"),
)
add(_CRITERIA, "A range of texts", _CALL, _criterion("at_most: 0.1, where: {class: {below: 3}}"))
add(_CRITERIA, "A text where the data have numbers", _CALL, _criterion("at_most: 0.1, where: {width: wide}"))
add(_CRITERIA, "A severity that is no level", _CALL, _criterion("at_most: 0.1, severity: S3"))
_LEVELS = "evaluate study --severity bad.yaml"
add(_CRITERIA, "Severity levels that are not there", _LEVELS)
add(_CRITERIA, "Criteria in place of severity levels", _LEVELS, _criterion("at_most: 0.1"))
add(_CRITERIA, "A severity level of no condition", _LEVELS, _file("severity: [{level: S3}]\n"))
add(
    _CRITERIA,
    "A severity by a column that the data do not have",
    _LEVELS,
    _file("severity: [{level: S3, where: {widht: 3}}]\n"),
)
add(
    _CRITERIA,
    "A JUnit file in a folder that is not there",
    f"{_CALL} --junit none/check.xml",
    _criterion("at_most: 0.9"),
)
