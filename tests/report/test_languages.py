"""Whatever a page says is in the catalogue: shown in a language whose every message stands in ⟦ ⟧."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hudd.errors import UsageError
from hudd.language import spoken
from hudd.report import write_report
from hudd.report.languages import FOLDER, languages, translations
from hudd.report.page import render
from hudd.report.report import LiveReport
from hudd.report.script_texts import TEXTS
from hudd.review.review import Review
from hudd.review.view import view
from hudd.summary.judge import JudgedMode, JudgeFacts

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "hudd" / "report" / "templates"
PLACEHOLDERS = r"(%\(\w+\)s|%%|\{\w+\}|<[^>]+>)"
SAID = ("title", "alt", "aria-label", "placeholder")
WORD = re.compile(r"[^\W\d_]{2,}")


def wrapped(message: str) -> str:
    """A message with all of its own words in marks, so that what it is filled in with stays outside."""
    parts = re.split(PLACEHOLDERS, message)
    return "".join(part if at % 2 or not part.strip() else f"⟦{part}⟧" for at, part in enumerate(parts))


@pytest.fixture(scope="module")
def texts() -> dict[str, Any]:
    pytest.importorskip("babel", reason="babel is not installed")
    return runpy.run_path(str(ROOT / "release" / "texts.py"))


@pytest.fixture(scope="module")
def marks(texts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled catalogue of the language in marks."""
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    catalogue = Catalog(locale="de_AT")
    with texts["TEMPLATE"].open("rb") as file:
        for message in read_po(file):
            if isinstance(message.id, tuple):
                catalogue.add(message.id, tuple(map(wrapped, message.id)))
            elif message.id:
                catalogue.add(message.id, wrapped(message.id))
    path = tmp_path_factory.mktemp("marks") / "hudd.mo"
    with path.open("wb") as file:
        write_mo(file, catalogue)
    return str(path)


class Told(HTMLParser):
    """What a reader of a page meets: its text, and the words for pictures and fields; not code and keys."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._silent = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self.texts += [value or "" for name, value in attributes if name in SAID]
        if tag in ("style", "script", "code", "kbd"):
            self._silent = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def unmarked(page: str, names: list[str]) -> Iterator[str]:
    """Texts of a page that hold words outside the marks, other than names from the data."""
    known = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    for text in Told(page).texts:
        if WORD.search(known.sub("", re.sub(r"⟦[^⟦⟧]*⟧", "", text))):
            yield text


def names_of(study: Any) -> list[str]:
    """What the page has from the study: files, classes, layers, rules, settings; and names of methods."""
    paths = [path for split in ("test", "improvement") for path in study.split(split).path]
    parts = [part for path in paths for part in (path[:-14], path[-14:])]  # as they stand under a picture
    known = "study hudd angle blur dark rotated natural WICD bl1 glare not even torch cnn.py:cnn"
    settings, steps = study.provenance["settings"], study.provenance["steps"]
    names = [*study.class_names, *study.layers, *study.provenance, *settings, *steps, *known.split()]
    return [*paths, *parts, *names]


JUDGED = JudgeFacts(
    60,
    12,
    [JudgedMode("hudd", 2, 0.8, 0.9, 7.0, 1.0)],
    [
        {"name": "glare", "images": 9, "failures": 3, "failure_rate": 0.3, "low": 0.1, "high": 0.6, "fixed": 0.5,
         "broken": 1.0},
    ],
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "judged", "scattered", "tested"])
def test_a_report_says_nothing_outside_the_catalogue(
    make_study: Any, marks: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    study = make_study(steps=() if kind == "tested" else ("select", "retrain", "evaluate"))
    if kind == "judged":
        monkeypatch.setattr("hudd.report.report.judge_facts", lambda study, mode: JUDGED)
    if kind == "scattered":
        study.causes = replace(study.causes, common=np.zeros(2, bool), p_apart=np.full(2, 0.001))
        study.reading = lambda split: {"how": "by name", "untrained": split == "test"}
    page = write_report(study, images=5, language=marks).read_text("utf-8")
    assert '<html lang="de-AT">' in page
    assert list(unmarked(page, names_of(study))) == []


@pytest.mark.slow
def test_served_pages_say_nothing_outside_the_catalogue(make_study: Any, marks: str) -> None:
    study = make_study()
    study.path.mkdir()
    review = Review(study)
    review.set(3, name="glare", note="not even")
    review.split(1)
    with spoken(translations(marks)):
        page = LiveReport(study).page(view(study, review), "1-x")
        label = render("label", served=True, name="study")
    known = [*names_of(study), "split off", "4 split off"]  # how clusters were edited is told in English
    assert list(unmarked(page, known)) == []
    assert list(unmarked(label, known)) == []
    for script in (page, label):
        said = script.split("const texts = ")[1].split(";\n")[0]
        assert said.count("\\u27e6") >= len(TEXTS)  # ⟦


def test_words_outside_the_marks_are_seen() -> None:
    page = "<p title='A title'>⟦in⟧ 3 study</p><code>code</code><img alt='⟦words⟧'><p>⟦<b>x⟧</b> out</p>"
    assert list(unmarked(page, ["study"])) == ["A title", " out"]
    assert (
        wrapped("<b>%(count)s</b> errors, {share} of %(all)s")
        == "<b>%(count)s</b>⟦ errors, ⟧{share}⟦ of ⟧%(all)s"
    )


def spoken_by_template(source: str) -> Iterator[str]:
    """Words of a template that are neither in a translated block nor in an expression, and strings of expressions."""
    source = re.sub(r"{#.*?#}|<style>.*?</style>", "", source, flags=re.S)
    source = re.sub(r"{% trans.*?{% endtrans %}", "", source, flags=re.S)
    for expression in re.findall(r"{{.*?}}|{%.*?%}", source, flags=re.S):
        strings = re.sub(r'\b_\("[^"]*"', "", expression)
        yield from (found for found in re.findall(r'"([^"]*)"', strings) if re.search(r"[a-z] [a-z]", found))
    source = re.sub(r"{{.*?}}|{%.*?%}", "", source, flags=re.S)
    yield from (text for text in Told(source).texts if WORD.search(text))


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_say_all_of_it_through_the_catalogue(path: Path) -> None:
    assert set(spoken_by_template(path.read_text("utf-8"))) <= {"hudd"}


def test_a_sentence_of_a_template_is_seen() -> None:
    template = (
        '<p>{% trans %}in{% endtrans %}out {{ _("in it") }}{{ "out of it" if x }}</p><img alt=\'a picture\'>'
    )
    assert list(spoken_by_template(template)) == ["out of it", "out ", "a picture"]


def test_scripts_say_all_of_it_through_the_catalogue() -> None:
    scripts = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.js"))
    scripts = re.sub(r"^\s*//.*$|\s// .*$", "", scripts, flags=re.M)
    said = re.findall(r'\bsay\("([^"]*)"', scripts)
    assert set(said) == set(TEXTS)
    rest = re.sub(r'(\bsay\(|\$\(|className(:| =) )"[^"]*"', "", scripts)  # nor selectors and names of styles
    assert set(re.findall(r'["`]([A-Za-z]+(?: [^"`.,#\[]+)+)["`]', rest)) <= {"use strict"}


@pytest.mark.slow
def test_the_template_of_catalogues_is_current(texts: dict[str, Any]) -> None:
    assert texts["TEMPLATE"].read_bytes() == texts["gathered"](), "run 'make texts'"


def test_english_is_what_is_written_without_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUDD_LANGUAGE", raising=False)
    assert languages()[0] == "en"
    assert translations().gettext("Causes") == translations("en").gettext("Causes") == "Causes"


def test_a_language_is_chosen_by_code_file_or_environment(
    marks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "xx" / "LC_MESSAGES" / "hudd.mo"
    own.parent.mkdir(parents=True)
    own.write_bytes(Path(marks).read_bytes())
    monkeypatch.setattr("hudd.report.languages.FOLDER", tmp_path)
    assert languages() == ["en", "xx"]
    assert translations("xx").gettext("Causes") == translations(marks).gettext("Causes") == "⟦Causes⟧"
    monkeypatch.setenv("HUDD_LANGUAGE", "xx")
    assert translations().gettext("Causes") == "⟦Causes⟧"
    assert translations("en").gettext("Causes") == "Causes"


def test_a_language_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for unknown in ("xx", "../en", "EN", "locale/en"):
        with pytest.raises(UsageError, match=f"'{re.escape(unknown)}' is unknown; choose one of: en"):
            translations(unknown)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        translations(str(tmp_path / "none.mo"))
    broken = tmp_path / "broken.mo"
    for content in (b"", b"no catalogue", (1).to_bytes(4, "little") * 9, b"\xde\x12\x04\x95" + b"\xff" * 40):
        broken.write_bytes(content)
        with pytest.raises(UsageError, match="broken\\.mo'"):
            translations(str(broken))


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("by %(mode)s:", "durch %(modus)s:"),
        ("by %(mode)s:", "durch 100 % von %(mode)s:"),
        ("95 %% interval", "95 %-Intervall"),
        ("{count} images", "{anzahl} Bilder"),
        ("%(count)s image", ("%(count)s Bild", "%(n)s Bilder")),
    ],
)
def test_a_translation_that_cannot_be_filled_in_is_refused(
    tmp_path: Path, message: str, translated: Any
) -> None:
    catalog = pytest.importorskip("babel.messages.catalog", reason="babel is not installed")
    from babel.messages.mofile import write_mo

    catalogue = catalog.Catalog(locale="de")
    catalogue.add("test accuracy, %", "Genauigkeit, %")
    catalogue.add((message, f"{message}s") if isinstance(translated, tuple) else message, translated)
    path = tmp_path / "de.mo"
    with path.open("wb") as file:
        write_mo(file, catalogue)
    with pytest.raises(UsageError, match="other placeholders, or a single %"):
        translations(str(path))


def test_catalogues_that_come_with_hudd_are_whole() -> None:
    assert (FOLDER / "hudd.pot").exists()
    for language in languages():
        translations(language)
