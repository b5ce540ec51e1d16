"""Acceptance criteria."""

from __future__ import annotations

from pathlib import Path

from remedy import call

_CALL = "check study --criteria bad.yaml"


def _all_images() -> None:
    Path("bad.yaml").write_text("criteria: [{at_most: 0.98}]\n", encoding="utf-8")


def _written(what: str, text: str) -> None:
    call(what, _CALL, lambda: Path("bad.yaml").write_text(text, encoding="utf-8"))


def _criterion(what: str, text: str) -> None:
    _written(what, f"criteria: [{{at_most: 0.98, {text}}}]\n")


for _what in (
    "No file of criteria named",
    "A file of criteria that is not there",
    "A folder in place of criteria",
    "Criteria that are no text",
    "Criteria that are not YAML",
    "A key twice in criteria",
    "Criteria with a tag",
    "A file of criteria with nothing in it",
    "An unknown key of a criterion",
    "A limit of no failure at all",
    "A limit in per cent",
):
    call(_what, _CALL, _all_images)
_LEVELS = "severity: [{level: S3, where: {class: ant}}]\n"
_written("Severity levels without criteria", f"{_LEVELS}criteria: [{{at_most: 0.98}}]\n")
_written("A severity that is no level", f"{_LEVELS}criteria: [{{at_most: 0.98, severity: S3}}]\n")
_written("A criterion twice", "criteria: [{at_most: 0.98, name: a}, {at_most: 0.98, name: b}]\n")
for _what, _text in {
    "Criteria that refer to themselves": "where: {class: bee}",
    "A criterion without a limit": "where: {class: bee}",
    "A confidence in per cent": "confidence: 0.95",
    "A condition without a column": "where: {class: bee}",
    "A range that no number is in": "where: {width: {at_least: 2, below: 6}}",
    "A condition that is a list": "where: {class: bee}",
    "A condition on a column that the data do not have": "where: {width: {at_least: 2}}",
    "A condition on a class that there is not": "where: {class: bee}",
    "A condition on a text that no image has": "where: {cause: {not: blur}}",
    "A range of texts": "where: {class: bee}",
    "A text where the data have numbers": "where: {width: {at_least: 2}}",
}.items():
    _criterion(_what, _text)
for _what in (
    "Severity levels that are not there",
    "Criteria in place of severity levels",
    "A severity level of no condition",
    "A severity by a column that the data do not have",
):
    call(
        _what,
        "evaluate study --severity bad.yaml",
        lambda: Path("bad.yaml").write_text(_LEVELS, encoding="utf-8"),
    )
call("A JUnit file in a folder that is not there", f"{_CALL} --junit check.xml", _all_images)
