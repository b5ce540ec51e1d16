"""The report explored in headless Chromium: tables, finding, the map's lasso, pages of pictures, several clusters."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hudd.report import write_report
from hudd.review.review import Review

pytestmark = [pytest.mark.timing, pytest.mark.slow]


@pytest.fixture
def many(make_study):
    """A study of nine clusters of four, whose sizes and numbers are in no order of risk."""
    study = make_study(steps=("select",))
    study.clusters.label = np.arange(36) // 4 + 1
    study.clusters.medoid = np.arange(0, 36, 4)
    study.causes = replace(study.causes, of_cluster=np.ones(9, int))
    return study


def column(number):
    """The texts of a column of the table of clusters, of the rows that are seen."""
    return (
        "[...document.querySelectorAll('.risk tbody tr')].filter(r => r.checkVisibility())"
        f".map(r => r.cells[{number}].textContent.trim().replace(/\\s+/g, ' '))"
    )


def typed(css, words):
    return (
        f"(f => {{ f.value = {json.dumps(words)}; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector({json.dumps(css)}))"
    )


def seen(css):
    return f"[...document.querySelectorAll({json.dumps(css)})].filter(one => one.checkVisibility())"


def test_tables_sort_by_numbers_and_words(browser, many):
    browser.fresh(write_report(many).as_uri())
    heading = "document.querySelector('.risk thead th:nth-child({})')"
    as_written = browser.js(column(4))
    browser.js(f"{heading.format(5)}.querySelector('button').click()")  # risk, the largest first
    risks = [float(text) for text in browser.js(column(4))]
    assert risks == sorted(risks, reverse=True)
    browser.js(f"{heading.format(5)}.querySelector('button').click()")
    assert [float(text) for text in browser.js(column(4))] == sorted(risks)
    assert browser.js(f"{heading.format(5)}.getAttribute('aria-sort')") == "ascending"
    browser.js(f"{heading.format(2)}.querySelector('button').click()")
    numbers = [int(text.split()[0]) for text in browser.js(column(1))]
    assert numbers == list(range(1, 10))
    assert browser.js(f"{heading.format(5)}.getAttribute('aria-sort')") == "none"
    for _ in range(2):  # the other way round, then as it was written
        browser.js(f"{heading.format(2)}.querySelector('button').click()")
    assert browser.js(column(4)) == as_written
    assert browser.js(f"{heading.format(1)}.querySelector('button')") is None  # pictures have no order
    assert browser.complaints() == []


def test_tables_are_filtered(browser, many):
    browser.fresh(write_report(many).as_uri())
    names = browser.js(column(1))
    wanted = names[3]
    browser.js(typed("#risk .sift input", wanted.upper()))
    assert browser.js(column(1)) == [name for name in names if wanted in name]
    assert browser.js("document.querySelector('#risk .sift [role=status]').textContent") == "1 of 9"
    browser.js(typed("#risk .sift input", "nothing of that kind"))
    assert browser.js(column(1)) == []
    browser.js(typed("#risk .sift input", ""))
    assert browser.js(column(1)) == names


def test_clusters_and_causes_are_found_by_name_rule_class_and_file(browser, make_study, running):
    study = make_study(names=["stop", "yield", "speed 30"])
    study.path.mkdir()
    Review(study).set(3, name="low sun", note="in the evening")
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until("document.querySelector('#cluster-3 [name=name]').value === 'low sun'")
        clusters, causes = f"{seen('.cluster')}.map(c => c.id)", f"{seen('.cause')}.map(c => c.id)"
        everything = browser.js(clusters)
        file = browser.js("document.querySelector('#cluster-1 .medoid .path').textContent")
        for words, found in (("LOW SUN", ["cluster-3"]), ("angle > 2", ["cluster-2"]), (file, ["cluster-1"])):
            browser.js(typed("#find", words))
            assert browser.js(clusters) == found
            links = [f"#{one}" for one in found]
            assert browser.js(f"{seen('.side ol:last-of-type a')}.map(a => a.getAttribute('href'))") == links
        assert browser.js(f"{seen('#cluster-1 .gallery:not(.tiny-row) .card')}.length") == 1
        browser.js(typed("#find", "angle > 2"))
        assert browser.js(f"{seen('#cluster-2 .card')}.length") > 4  # all of it
        browser.js(typed("#find", ""))
        assert browser.js(clusters) == everything
        for words, found in (
            ("angle > 2", ["cause-1"]),
            ("in the evening", ["cause-2"]),
            (file, ["cause-1"]),
        ):
            browser.js(typed("#find-cause", words))
            assert browser.js(causes) == found
        browser.js(typed("#find-cause", "nowhere"))
        assert browser.js(f"{seen('#no-cause')}.length") == 1


def laid_out(browser):
    """Lay out all clusters, also those out of sight: else the page moves when they come near."""
    browser.js("document.querySelectorAll('.cluster').forEach(c => c.style.contentVisibility = 'visible')")


def test_a_lasso_selects_the_images_of_the_dots_inside(browser, make_study):
    study = make_study(count=60)
    browser.fresh(write_report(study, images=3).as_uri())
    laid_out(browser)
    browser.js("document.querySelector('#dots').scrollIntoView({behavior: 'instant', block: 'center'})")
    centres = browser.js(
        "[...document.querySelectorAll('#errors use')].map(d => d.getBoundingClientRect())"
        ".map(r => [r.x + r.width / 2, r.y + r.height / 2])"
    )
    box = browser.js(
        "(r => [r.left, r.top, r.right, r.bottom])(document.querySelector('#dots svg').getBoundingClientRect())"
    )
    middle = float(np.median([x for x, _ in centres])) + 0.3
    around = [(box[0] + 1, box[1] + 1), (middle, box[1] + 1), (middle, box[3] - 1), (box[0] + 1, box[3] - 1)]
    browser.drag(around)
    assert browser.js("document.querySelector('#selection').hidden")  # not before the lasso is taken
    browser.js("document.querySelector('#lasso').click()")
    browser.drag(around)
    inside = [place for place, (x, _) in enumerate(centres) if x < middle]
    paths = [study.split("test").path[study.errors[place]] for place in inside]
    assert 0 < len(inside) < 60
    shown = browser.js("[...document.querySelectorAll('#selection .path')].map(p => p.textContent)")
    assert shown == paths
    lit = "[...document.querySelectorAll('#errors use')].flatMap((d, i) => d.classList.contains('lit') ? [i] : [])"
    assert browser.js(lit) == inside
    told = browser.js("document.querySelector('#selected').textContent")
    assert told.startswith(f"Errors selected: {len(inside)} (")
    counted = [int(part.split(" of cluster ")[0]) for part in told[told.index("(") + 1 :].split(", ")]
    assert sum(counted) == len(inside)
    assert browser.js(f"{seen('#selection .card')}.length") == 24  # the first page of them
    browser.js("document.querySelector('#copy').click()")
    browser.until("document.querySelector('#copied').textContent === 'copied'")
    browser.drag([(box[0] + 1, box[1] + 1), (box[0] + 2, box[1] + 1), (box[0] + 2, box[1] + 2)])
    assert browser.js("document.querySelector('#selected').textContent") == "Errors selected: 0"
    browser.click("#unselect")
    assert browser.js("document.querySelector('#selection').hidden")
    assert browser.js("document.querySelector('#lasso').getAttribute('aria-pressed')") == "false"
    assert browser.complaints() == []


def test_the_unsafe_set_is_shown_in_pages(browser, make_study):
    study = make_study(steps=("select",))
    selection = type(study).selection.fget(study)
    count = 40
    selection.image, selection.cluster = np.arange(count), np.ones(count, int)
    selection.distance, selection.outside = np.linspace(1, 2, count), np.zeros(count, bool)

    class Chosen(type(study)):
        selection = None

    Chosen.selection = selection
    study.__class__ = Chosen
    browser.fresh(write_report(study).as_uri())
    names = [f"improvement/sign-{image}.png" for image in range(count)]
    shown = f"{seen('#unsafe .card')}.map(c => c.querySelector('.path').textContent)"
    browser.js("document.querySelector('#unsafe').scrollIntoView({behavior: 'instant'})")
    assert browser.js(shown) == names[:12]
    for first in (12, 24, 36):
        browser.click("#unsafe .pager button:last-child")
        assert browser.js(shown) == names[first : first + 12]
    assert browser.js("document.querySelector('#unsafe .pager span').textContent") == "37 to 40 of 40"
    assert browser.js("document.querySelector('#unsafe .pager button:last-child').disabled")
    browser.click("#unsafe .pager button:first-child")
    assert browser.js(shown) == names[24:36]


def test_the_contents_follow_the_page(browser, many):
    browser.window(1280, 420)
    browser.fresh(write_report(many).as_uri())
    laid_out(browser)
    for css in ("cluster-9", "provenance", "cluster-1", "overview"):
        browser.js(f"document.querySelector('#{css}').scrollIntoView({{behavior: 'instant'}})")
        link = f"document.querySelector('.side a[href=\"#{css}\"]')"
        browser.until(f"{link}.getAttribute('aria-current') === 'true'")
        browser.until(
            "((link, side) => link.top >= side.top && link.bottom <= side.bottom)"
            f"({link}.getBoundingClientRect(), document.querySelector('.side').getBoundingClientRect())"
        )
    browser.command("Emulation.clearDeviceMetricsOverride")


def test_several_clusters_are_merged_at_once(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    numbers = "[...document.querySelectorAll('.cluster')].map(c => c.id).sort().join()"
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until("!!document.querySelector('[data-edit=merge-chosen]')")
        assert browser.js("document.querySelector('[data-edit=merge-chosen]').disabled")
        sizes = browser.js(
            "[...document.querySelectorAll('[data-choose]')].map(b => [b.dataset.choose, b.dataset.size])"
        )
        largest = max(sizes, key=lambda one: int(one[1]))[0]  # the first of those
        others = [number for number, _ in sizes if number != largest]
        browser.click(f"[data-choose='{others[0]}']")
        assert browser.js("document.querySelector('[data-edit=merge-chosen]').disabled")
        for number in (largest, others[1]):
            browser.click(f"[data-choose='{number}']")
        told = browser.js("document.querySelector('[data-edit=merge-chosen]').textContent")
        assert told.endswith(f" into {largest}")
        browser.click("[data-edit=merge-chosen]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-{largest}'")
        browser.until("!!document.querySelector('[data-edit=undo]')")
        browser.click("[data-edit=undo]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-1,cluster-2,cluster-3'")
        assert browser.complaints() == []


def test_the_end_of_a_file_name_is_seen(browser, make_study):
    study = make_study(prefix="a-very-long-recording-of-a-drive")
    browser.fresh(write_report(study).as_uri())
    cut = (
        "[...document.querySelectorAll('.gallery .path b')].filter(b => b.checkVisibility())"
        ".filter(b => b.scrollWidth > b.clientWidth + 1 || b.getBoundingClientRect().right > "
        "b.closest('.card').getBoundingClientRect().right + 1).length"
    )
    for width in (390, 1280):
        browser.window(width, 900)
        assert browser.js("document.querySelectorAll('.gallery .path b').length") > 20
        assert browser.js(cut) == 0
    browser.command("Emulation.clearDeviceMetricsOverride")
