"""``hudd dossier`` on the digits case: valid JSON, identifiers that lead to images, a PDF with nothing clipped."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import unicodedata

import jsonschema
import numpy as np
import pandas as pd
import pypdf
import pytest

from hudd.dossier import Decision, Dossier, pdf, schema, write
from hudd.dossier.gather import gather
from hudd.evaluation import Region
from hudd.report import write_report
from hudd.review.decisions import NAME as DECISIONS
from hudd.review.decisions import save_decision
from hudd.study import Study
from hudd.summary.columns import columns_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dossier")
    write(Study.open(demo), folder, odd="Digits in daylight.\n\nNo <b>other</b> script.")
    return folder


@pytest.fixture(scope="module")
def dossier(folder):
    return Dossier.from_json((folder / "dossier.json").read_bytes())


def test_the_json_is_valid_and_comes_back(folder, dossier):
    content = (folder / "dossier.json").read_bytes()
    jsonschema.Draft202012Validator(schema()).validate(json.loads(content))
    assert dossier.to_json() == content


def test_every_identifier_leads_to_its_images(demo, dossier):
    study = Study.open(demo)
    test, known = study.split("test"), {path: row for row, path in enumerate(study.split("test").path)}
    with study.file.reading() as h5:
        pixels = h5["splits/test/pixels"][...]
    assert list(dossier.images) == [one.identifier for one in dossier.conditions]
    rows = {name: [known[one.path] for one in images] for name, images in dossier.images.items()}
    assert sorted(row for found in rows.values() for row in found) == study.errors.tolist()
    columns = columns_of(study, "test")
    for one in dossier.conditions:
        found = rows[one.identifier]
        assert (~test.correct[found]).all()
        assert [each.digest for each in dossier.images[one.identifier]] == [
            f"{int(high):016x}{int(low):016x}" for high, low in pixels[found]
        ]
        if one.region is not None:
            inside = Region.from_json(json.dumps(one.region)).holds(columns, len(test.path))
            assert inside[found].mean() == pytest.approx(one.recall)
            assert next(e for e in one.exposure if e.set == "test").images == inside.sum()
            for each in one.seen:
                numbers = np.asarray(columns[each.parameter], float)[found][inside[found]]
                assert each.low <= each.high
                assert ((numbers >= each.low) & (numbers <= each.high)).mean() >= 0.95


def test_a_rule_is_confirmed_with_its_rate(dossier):
    told = [one for one in dossier.conditions if one.status in ("confirmed", "mitigated")]
    assert told
    for one in told:
        assert one.identifier.startswith("TC-")
        assert one.rate.low > dossier.base.rate
        assert one.rate_p_value <= 0.05
    assert {one.status for one in dossier.conditions if not one.condition} <= {"open"}


def test_it_is_the_same_again(demo, dossier):
    assert gather(Study.open(demo), dossier.domain.statement) == dossier


def test_settings_make_the_same_study(demo, folder, tmp_path):
    made = Study.create(tmp_path / "again", **json.loads((folder / "settings.json").read_text()))
    assert made.settings == Study.open(demo).settings


def test_it_says_what_it_is_not(folder):
    text = re.sub(r"\s+", " ", (folder / "dossier.html").read_text(encoding="utf-8"))
    assert "claims no conformity" in text
    assert "not a safety case" in text
    assert "are counted on test images, each counted by a rule that was found without it" in text
    assert not re.search("&lt;(?!/?b&gt;| )", text)  # markup of the page itself that was escaped
    assert "No &lt;b&gt;other&lt;/b&gt; script." in text
    for name in ("ISO 21448", "ISO/PAS 8800", "AMLAS", "Annex IV"):
        assert name in text


def test_weasyprint_does_not_make_half_images_whole():
    code = (
        "from PIL import ImageFile; from hudd.dossier.pdf import _weasyprint; _weasyprint(); "
        "assert not ImageFile.LOAD_TRUNCATED_IMAGES"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


MAKERS = {
    "weasyprint": lambda page: pdf.by_weasyprint(importlib.import_module("weasyprint"), page),
    "chromium": lambda page: pdf.by_chromium(next(filter(None, map(shutil.which, pdf.BROWSERS))), page),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("maker", MAKERS)
def test_the_pdf_is_short_and_whole(folder, dossier, maker):
    if maker == "weasyprint" and pdf._weasyprint() is None:
        pytest.skip("weasyprint, or Pango, is not installed")
    if maker == "chromium" and not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine's path")
    page = (folder / "dossier.html").read_text(encoding="utf-8")
    document = pypdf.PdfReader(io.BytesIO(MAKERS[maker](page)))
    plain = [
        unicodedata.normalize("NFKC", one.extract_text()) for one in document.pages
    ]  # fonts have ligatures
    texts = [re.sub(r"\s+", " ", text) for text in plain]
    appendix = next(number for number, text in enumerate(texts) if "A Images of each condition" in text)
    assert 3 <= appendix <= 6
    for number, text in enumerate(texts, start=1):
        assert f"page {number} of {len(texts)}" in text
    titles = [str(one.title) for one in document.outline if not isinstance(one, list)]
    inner = str(document.outline)
    assert titles
    assert "Triggering conditions" in inner
    squeezed = "".join(texts).replace(" ", "")
    for one in dossier.data:
        assert one.digest in squeezed
    for one in dossier.conditions:
        assert one.identifier in squeezed
    for standard in dossier.standards:
        for clause in standard.clauses:  # the last column
            assert clause.yours.replace(" ", "").replace("-", "") in squeezed.replace("-", "")


@pytest.mark.timing
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_clipped(folder, browser, width):
    browser.window(width, 900)
    browser.fresh((folder / "dossier.html").as_uri())
    assert browser.complaints() == []
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    browser.window(680, 900)  # the width of an A4 page without its margins
    browser.command("Emulation.setEmulatedMedia", media="print")
    assert browser.js("matchMedia('print').matches")
    wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 680.5)"
    assert browser.js(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []


def test_the_command(demo, hudd, tmp_path, monkeypatch):
    out = tmp_path / "out"
    domain = tmp_path / "odd.txt"
    domain.write_text("Digits in daylight.", encoding="utf-8")
    monkeypatch.setattr("hudd.dossier.folder.to_pdf", lambda page: None)
    code, printed, _ = hudd("dossier", demo, "--out", out, "--odd", domain)
    assert code == 0
    assert str(out / "dossier.json") in printed
    assert ".[dossier]" in printed
    assert sorted(path.name for path in out.iterdir()) == ["dossier.html", "dossier.json", "settings.json"]
    code, _, err = hudd("dossier", demo, "--out", out)
    assert code == 2
    assert "--overwrite" in err
    (out / "dossier.pdf").write_bytes(b"of an earlier dossier")
    assert hudd("dossier", demo, "--out", out, "--overwrite")[0] == 0
    assert not (out / "dossier.pdf").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b" \n", None], ids=["bytes", "empty", "missing"])
def test_a_domain_that_is_no_text_is_refused(demo, hudd, tmp_path, content):
    domain = tmp_path / "odd.txt"
    if content is not None:
        domain.write_bytes(content)
    code, _, err = hudd("dossier", demo, "--out", tmp_path / "out", "--odd", domain)
    assert code == 2
    assert "odd.txt" in err
    assert not (tmp_path / "out").exists()


def test_decisions_of_the_served_report_are_taken_over(demo, dossier):
    study, name = Study.open(demo), dossier.conditions[0].identifier
    for each in (name, "TC-000000000000"):  # the other one of an earlier test set
        save_decision(study.path, each, {"decision": "accepted", "reviewer": "A"}, known=None)
    try:
        found = gather(study).conditions[0]
        assert (found.status, found.decision.reviewer) == ("accepted", "A")
        assert gather(study, decisions={}).conditions[0].decision is None
        page = write_report(study, study.path / "decided.html").read_text(encoding="utf-8")
        assert "accepted by A on" in page
    finally:
        (study.path / DECISIONS).unlink()


def test_decisions_stand_in_the_dossier(demo, dossier, hudd, tmp_path, monkeypatch):
    monkeypatch.setattr("hudd.dossier.folder.to_pdf", lambda page: None)
    (name, *_) = (one.identifier for one in dossier.conditions if one.condition)
    file = tmp_path / "decisions.yaml"
    file.write_text(f"{name}: {{decision: accepted, reviewer: A. B., date: 2026-11-30}}", encoding="utf-8")
    assert hudd("dossier", demo, "--out", tmp_path / "out", "--decisions", file)[0] == 0
    found = Dossier.from_json((tmp_path / "out" / "dossier.json").read_bytes())
    (one,) = [one for one in found.conditions if one.decision]
    assert (one.identifier, one.status) == (name, "accepted")
    assert one.decision == Decision("accepted", "A. B.", "2026-11-30")
    assert "A. B." in (tmp_path / "out" / "dossier.html").read_text(encoding="utf-8")


DECISION = "{decision: accepted, reviewer: A, date: 2026-11-30}"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no decisions"),
        ("[1]", "no decisions"),
        (f"TC-000000000000: {DECISION}", "no condition of this study"),
        ("TC-1: accepted", "needs the keys"),
        ("TC-1: {decision: accepted, reviewer: A}", "needs the keys"),
        (f"TC-1: {DECISION[:-1]}, note: x}}", "needs the keys"),
        (f"TC-1: {DECISION.replace('accepted', 'maybe')}", "choose one of: accepted, rejected"),
        (f"TC-1: {DECISION.replace('A,', ',')}", "name of a person"),
        (f"TC-1: {DECISION.replace('2026-11-30', '30.11.2026')}", "YYYY-MM-DD"),
    ],
)
def test_decisions_that_cannot_be_used_are_refused(demo, hudd, tmp_path, text, part):
    file = tmp_path / "decisions.yaml"
    file.write_text(text, encoding="utf-8")
    code, _, err = hudd("dossier", demo, "--out", tmp_path / "out", "--decisions", file)
    assert code == 2
    assert part in err
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_refused(demo, hudd, tmp_path):
    (tmp_path / "out").write_text("")
    code, _, err = hudd("dossier", demo, "--out", tmp_path / "out")
    assert code == 2
    assert "name a folder" in err


def test_the_openodd_document_has_the_identifiers_and_counts_of_the_dossier(demo, dossier, hudd, tmp_path):
    assert hudd("export", demo, "--to", "openodd", "--out", tmp_path / "out")[0] == 0
    rows = pd.read_csv(tmp_path / "out" / "openodd" / "conditions.csv").set_index(["set", "module"])
    cells = pd.read_csv(tmp_path / "out" / "openodd" / "cells.csv").groupby("set")
    assert {one.name: one.failures for one in dossier.data} == cells["failures"].sum().to_dict()
    assert {one.name: one.images for one in dossier.data} == cells["images"].sum().to_dict()
    told = [one for one in dossier.conditions if one.region is not None]
    assert told
    for one in told:
        assert rows.loc[("test", one.identifier), "images"] == round(one.recall * one.errors / one.purity)
        for each in one.exposure:
            assert rows.loc[(each.set, one.identifier), "images"] == each.images
