"""``hudd diff`` between before and after retraining, on the digits case: what it names, prints and writes."""

import json
import re
import shutil

import numpy as np
import pytest
from rich.console import Console

from hudd.cli import printing
from hudd.study import Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(demo, tmp_path_factory):
    """A copy of the demo, retrained so that much is fixed, whatever the processor makes of its last digits."""
    path = shutil.copytree(demo, tmp_path_factory.mktemp("mended") / "demo")
    study = Study.open(path)
    study.configure(trusted=0.5, training={**study.settings.training, "interpolate": 1.0}).retrain()
    return path


@pytest.fixture(scope="module")
def after(demo, tmp_path_factory):
    """The study of the retrained weights, on the same test set."""
    weights = demo / "models" / "by-cause-0.safetensors"
    path = tmp_path_factory.mktemp("retrained") / "after"
    settings = Study.open(demo).settings
    return Study.create(path, model=settings.model, weights=str(weights), test=settings.test).evaluate().path


def test_it_names_the_causes_that_retraining_fixed(demo, after, hudd):
    code, out, err = hudd("diff", demo, after, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    (run,) = Study.open(demo).retraining["by-cause"]
    assert (found["test"]["fixed"], found["test"]["regressed"]) == (run["improved"], run["worsened"])
    assert len(found["fixed"]) == run["improved"]
    assert found["test"]["p_value"] < 0.001
    assert found["before"]["weights_sha256"] != found["after"]["weights_sha256"]
    improved = {
        one["name"].split(" · ")[0]: one["region_before"]
        for one in found["causes"]
        if one["status"] in ("gone", "better") and one["confirmed"] and one["tested_on"] == "before"
    }
    known = np.asarray(Study.open(demo).split("test").parameters["cause"])
    before, now = (Study.open(one).split("test").correct for one in (demo, after))
    gain = {
        name: int(now[known == name].sum()) - int(before[known == name].sum())
        for name in set(known) - {"none"}
    }
    assert len(improved) >= 2
    assert max(gain, key=gain.get) in improved
    for name, region in improved.items():
        assert region["failures_after"] < region["failures_before"] <= region["images"]
        assert region["images"] < 1.5 * (known == name).sum()  # the rule is about the images of that cause


def test_what_is_new_one_way_round_is_gone_the_other(demo, after, hudd):
    there, back = (json.loads(hudd("diff", *pair, "--json")[1]) for pair in ((demo, after), (after, demo)))
    assert there["fixed"] == back["regressed"]
    assert there["test"]["difference"] == pytest.approx(-back["test"]["difference"])
    paired = [
        sorted(
            (one[first]["cause"], one[second]["cause"])
            for one in found["causes"]
            if one["before"] and one["after"]
        )
        for found, first, second in ((there, "before", "after"), (back, "after", "before"))
    ]
    assert paired[0] == paired[1]
    assert {one["before"]["cause"] for one in there["causes"] if not one["after"]} == {
        one["after"]["cause"] for one in back["causes"] if not one["before"]
    }


@pytest.mark.parametrize("columns", [60, 80])
def test_it_fits_a_narrow_terminal(demo, after, hudd, monkeypatch, columns):
    monkeypatch.setattr(printing, "console", Console(highlight=False, width=columns))
    code, out, _ = hudd("diff", demo, after)
    assert code == 0
    drawn = [line for line in out.splitlines() if line[:1] in "┏┃┡└│┌"]
    assert all(len(line) <= columns and line.rstrip()[-1] in "┓┃┩┘│┐" for line in drawn)
    assert "better" in out
    assert "too narrow" not in out


def test_the_page_shows_every_cause_and_the_images(demo, after, hudd, tmp_path):
    code, out, _ = hudd("diff", demo, after, "--out", tmp_path / "diff.html")
    assert code == 0
    assert f"{tmp_path}/diff.html" in out
    text = (tmp_path / "diff.html").read_text(encoding="utf-8")
    causes = json.loads(hudd("diff", demo, after, "--json")[1])["causes"]
    assert text.count('<li class="cause"') == len(causes) > 1
    shown = {"regressed", "fixed"} & set(re.findall('<section id="([a-z]+)"', text))
    assert shown == {"regressed", "fixed"}
    assert text.count("data:image/webp;base64,") > 24
    assert hudd("diff", demo, after, "--out", tmp_path / "diff.html")[0] == 2
    assert hudd("diff", demo, after, "--out", tmp_path / "diff.html", "--overwrite")[0] == 0


def test_a_page_that_cannot_stand_is_refused_before_any_work(demo, hudd, tmp_path):
    code, _, err = hudd("diff", demo, "nowhere", "--out", tmp_path / "diff.pdf")
    assert code == 2
    assert "does not end in .html; name a file such as diff.html." in err
