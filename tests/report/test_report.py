import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from hudd.errors import HuddError, UsageError
from hudd.presets import get_preset
from hudd.report import write_report
from hudd.report.facts import gather

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../etc/passwd",
    "naïve 日本 $x^2$ {{ 7*7 }}",
    "two\nlines\t\x00\u202egnp",
)

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Elements with their attributes, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self._silent = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        if not self._silent:
            self.text.append(data)

    def all(self, tag, css=None):
        return [
            a for t, a in self.elements if t == tag and (css is None or css in a.get("class", "").split())
        ]


def read(study, **options):
    path = write_report(study, **options)
    return path, Page(path.read_text("utf-8"))


def test_report_stands_alone(make_study):
    study = make_study()
    path, page = read(study)
    assert path == study.path / "report" / "index.html"
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:image/", "#")), (tag, name, address[:60])
    assert [link["rel"] for link in page.all("link")] == ["icon"]
    assert not page.all("iframe") + page.all("object") + page.all("embed")
    assert "url(" not in re.sub(r"url\(#", "", path.read_text("utf-8"))
    assert "@import" not in path.read_text("utf-8")


@pytest.mark.parametrize(("preset", "curve"), [("hudd", True), ("moments", False)])
def test_splits_are_drawn_and_the_curve_where_its_knee_decides(make_study, preset, curve):
    study = make_study(steps=())
    for p, drawn in ((np.nan, False), (0.001, True)):
        study.causes = replace(study.causes, p_apart=np.full(2, p))
        study.settings.choices = get_preset(preset)
        words = [a["aria-label"] for a in read(study)[1].all("svg", "chart")]
        assert any("set causes apart" in label for label in words) == drawn
        assert any(label.startswith("WICD") for label in words) == (curve or not drawn)


def test_every_picture_is_told_in_words(make_study):
    _, page = read(make_study())
    pictures = page.all("img", "pic")
    assert pictures
    thumbs = len({a["href"] for a in page.all("a", "thumb")})
    assert sum(not a["alt"] for a in pictures) == thumbs  # the overview's, next to their names
    assert all(a["alt"] == "" for a in page.all("img", "over"))
    assert all(a.get("aria-label") for a in page.all("svg", "chart"))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    targets = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert targets <= set(ids)


def test_medoid_comes_first_and_the_rest_by_distance(make_study):
    study = make_study()
    text = write_report(study, images=5).read_text("utf-8")
    for label, medoid in enumerate(study.clusters.medoid, start=1):
        article = text.split(f'id="cluster-{label}"')[1].split("</article>")[0]
        first = re.search(r'class="path" title="([^"]+)"', article)[1]
        assert first == study.split("test").path[study.errors[medoid]]
        distances = [float(d) for d in re.findall(r"distance to the medoid ([\d.]+)", article)]
        assert distances == sorted(distances)
        size = int((study.clusters.label == label).sum())
        assert len(distances) == 4
        assert len(re.findall(r"<li data-row=", article)) == size - 5
        assert f"{size - 5} more" in article


def test_each_member_is_shown_once(make_study):
    study = make_study()
    _, page = read(study, images=100)
    for row in study.errors:
        path = study.split("test").path[row]
        assert sum(path + ":" in a["alt"] for a in page.all("img", "pic")) == 1


def test_hostile_names_are_text(make_study):
    for prefix in ("".join(HOSTILE[:4]), HOSTILE[4]):
        study = make_study(names=list(HOSTILE[:3]), prefix=prefix, parameter=prefix)
        study._splits["test"].parameters["cause"][:] = prefix
        path, page = read(study)
        scripts = page.all("script")
        assert len(scripts) == 1
        assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
        assert not [a for a in page.all("img") if not a["src"].startswith("data:image/")]
        visible = "".join(page.text)
        assert HOSTILE[0] in visible
        assert "\u202e" not in path.read_text("utf-8")
        if prefix.isprintable():
            assert f"test/{prefix}-{study.errors[0]}.png" in visible


def test_only_its_own_script_may_run(make_study):
    import hashlib
    from base64 import b64encode

    text = write_report(make_study()).read_text("utf-8")
    script = text.split("<script>")[1].split("</script>")[0]
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text.replace("&#39;", "'")
    assert "default-src 'none'" in text


@pytest.mark.parametrize("steps", [(), ("select",), ("evaluate",), ("select", "retrain")])
def test_unfinished_studies_have_a_report(make_study, steps):
    _, page = read(make_study(steps=steps))
    ids = {a.get("id") for a in page.all("section")}
    assert ("unsafe" in ids) == ("select" in steps)
    assert ("retraining" in ids) == ("retrain" in steps)


def test_numbers_of_the_overview(make_study):
    study = make_study()
    _, page = read(study)
    words = " ".join("".join(page.text).split())
    run = study.retraining["hudd"][0]
    assert f"{100 * len(study.errors) / len(run['before']):.1f} %" in words
    assert f"to {100 * run['after'].mean():.1f} %" in words
    improved = int((~run["before"] & run["after"]).sum())
    assert f"{improved} fixed, 3 regressed" in words


def test_one_run_is_told_as_one_and_several_as_so_many(make_study, monkeypatch):
    study = make_study(modes=("hudd",))
    words = " ".join("".join(read(study)[1].text).split())
    assert "wrong after retraining" in words
    assert "mean of" not in words
    assert "% of the runs" not in words
    size = int((study.causes.label == 1).sum())
    assert re.search(rf"\d+ of {size} \(\S+ % to \S+ %\) fixed", words)
    [[run]] = study.retraining.values()
    monkeypatch.setattr(type(study), "retraining", property(lambda self: {"hudd": [run, run]}))
    words = " ".join("".join(read(study)[1].text).split())
    assert "wrong in 2 of 2 runs" in words
    assert "Retraining by hudd, run 1 of 2, on" in words
    assert "mean of 2 runs, fixed" in words


def test_retraining_is_told_of_the_strategy_that_it_was(make_study):
    _, page = read(make_study(modes=("entropy", "random")))
    words = " ".join("".join(page.text).split())
    assert "chosen by these clusters" not in words
    assert "Retraining by the strategy entropy brought test accuracy" in words
    assert "Fixed by entropy" in words
    assert "fixed by entropy" in words
    assert "Still wrong by entropy" in words
    assert {a["title"] for a in page.all("em")} == {"fixed by retraining by entropy"}


def test_the_strategy_that_selected_comes_first(make_study):
    study = make_study(modes=("entropy", "hudd", "hybrid"))
    texts = {
        "hudd": "lie nearest to the clusters",
        "hybrid": "drawn by how likely",
        "entropy": "selected by the strategy entropy",
    }
    for strategy, chosen in texts.items():
        study.settings.effective_strategy = strategy
        _, page = read(study)
        words = " ".join("".join(page.text).split())
        assert gather(study).retrained[0].mode == strategy
        assert f"Retraining on {len(study.selection)} images chosen by these clusters brought" in words
        assert "Fixed by" not in words
        assert chosen in words
        assert ("lie nearest to" in words) == (strategy == "hudd")


def test_large_numbers_keep_their_digits(make_study):
    study = make_study(parameter="time")
    start = 1_700_000_000
    study.split("test").parameters["time"] = start + np.arange(len(study.split("test").path))
    words = "".join(read(study)[1].text)
    ends = re.findall(r"\((1,7[\d,.]+) to ([\d,.]+)\)", words)
    assert len(ends) == 3
    assert all(low != high for low, high in ends)


def test_many_pictures_go_next_to_the_page(make_study, tmp_path):
    out = tmp_path / "deep" / "my report.html"
    path, page = read(make_study(), out=out, inline=1000)
    folder = path.with_name("my report-hudd-images")
    linked = [a["src"] for a in page.all("img") if not a["src"].startswith("data:")]
    assert linked
    assert {s.split("/")[1] for s in linked} == {p.name for p in folder.iterdir()}
    assert all(s.startswith("my%20report-hudd-images/") for s in linked)
    assert all(
        a["src"].startswith("data:") for a in page.all("img") if a["alt"] == "" and "pic" in a["class"]
    )
    read(make_study(), out=out)
    assert not folder.exists()


def test_written_twice_is_the_same(make_study, tmp_path):
    one, two = (write_report(make_study(), tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert one == two


def test_wrong_calls_are_refused_before_any_work(make_study, tmp_path):
    study = make_study()
    with pytest.raises(UsageError, match="features\\.9"):
        write_report(study, tmp_path / "r.html", layers=["features.9"])
    with pytest.raises(UsageError, match="images is 0"):
        write_report(study, tmp_path / "r.html", images=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(HuddError, match="cannot write"):
        write_report(study, tmp_path / "file" / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_layers_can_be_switched(make_study):
    _, page = read(make_study(), layers=["features.3", "features.0", "classifier.1"])
    counts = [len(page.all("img", f"o{i}")) for i in range(3)]
    assert counts[0] == counts[1] == counts[2] > 0
    assert "classifier.1 (image)" in "".join(page.text)


def test_clusters_of_one(make_study):
    study = make_study(count=4)
    study.clusters.label = np.arange(1, 5)
    study.clusters.medoid = np.arange(4)
    study.steps = ()
    _, page = read(study)
    assert len(page.all("article", "cluster")) == 4


def test_the_matching_of_labels_and_what_casts_doubt_are_told(make_study):
    study = make_study()
    names = study.class_names
    study.reading = lambda split: {
        "how": "by name",
        "written": [f"{name}?" for name in names],
        "outputs": list(range(len(names))),
        "remarks": ["2 <b>hidden</b> folders were ignored."],
        "untrained": split == "test",
    }
    _, page = read(study)
    text = " ".join(page.text)
    assert "no weights were given" in text
    assert "2 <b>hidden</b> folders were ignored." in text
    assert f"by name: 0 = {names[0]}" in text
    assert all(f"{name}?" in text for name in names)


def test_the_first_page_lists_the_causes_with_their_clusters(make_study):
    study = make_study()
    path, page = read(study)
    text = path.read_text("utf-8")
    found = page.all("li", "cause")
    assert [one["id"] for one in found] == ["cause-1", "cause-2"]
    first = text.split('id="cause-1"')[1].split('id="cause-2"')[0]
    size = int((study.causes.label == 1).sum())
    assert f"<b>{size}</b> errors, <b>{100 * size / len(study.errors):.1f} %</b> of all" in first
    assert set(re.findall(r'href="#(cluster-\d+)"><span', first)) == {"cluster-1", "cluster-2"}
    assert "2 clusters" in first
    assert "Next" in first
    assert text.index('id="causes"') < text.index('class="risk"')


def test_parameters_have_their_units(make_study):
    study = make_study()
    study.settings.units = {"angle": "deg"}
    _, page = read(study)
    count = len(study.clusters.medoid)
    assert page.text.count("angle [deg]") == 2 * count  # in the table and above the drawing
    assert "angle" not in page.text


def test_names_of_parameters_break_behind_underscores(make_study):
    path, page = read(make_study(parameter="eyelid_opening"))
    assert '<th scope="row">eyelid_<wbr>opening</th>' in path.read_text("utf-8")
    assert "eyelid_opening" in page.text
