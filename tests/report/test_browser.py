"""Pages driven in headless Chromium, over its debugging pipe."""

import json
from dataclasses import asdict

import h5py
import pytest

from hudd.report import write_report
from hudd.review.decisions import save_decision, saved_decisions
from hudd.review.labelling import Labels
from hudd.review.review import Review
from hudd.review.view import view
from hudd.summary.conditions import cause_identifiers

pytestmark = [pytest.mark.timing, pytest.mark.slow]


def visible(css):
    return f"getComputedStyle(document.querySelector({json.dumps(css)})).visibility === 'visible'"


def test_report_is_used_from_disk(browser, make_study):
    page = write_report(make_study(count=60, names=["stop", "yield", "<i>odd</i>"])).as_uri()
    browser.fresh(page)
    assert browser.js("document.querySelectorAll('.cluster').length") == 3
    assert browser.js("[...document.images].every(i => i.loading === 'lazy')")

    assert browser.js(visible(".card .o0"))
    browser.press("h")
    assert not browser.js(visible(".card .o0"))
    assert browser.js("document.querySelector('[data-do=heat]').getAttribute('aria-pressed')") == "false"
    browser.press("h")
    browser.press("l")
    assert browser.js(visible(".card .o1"))
    assert not browser.js(visible(".card .o0"))
    browser.press("-")
    assert browser.js("getComputedStyle(document.querySelector('.card .o1')).opacity") == "0.75"

    browser.click(".cluster .card:nth-child(2) .shot")
    browser.until("document.querySelector('#box').open")
    first = browser.js("document.querySelector('#box .path').textContent")
    browser.press("ArrowRight")
    assert browser.js("document.querySelector('#box .path').textContent") != first
    browser.press("ArrowLeft")
    assert browser.js("document.querySelector('#box .path').textContent") == first
    browser.js("document.querySelector('#box').close()")
    assert browser.js("document.activeElement.className") == "shot"

    browser.js("scrollTo({top: 0, behavior: 'instant'})")
    browser.press("j")
    assert browser.js("document.activeElement.classList.contains('cluster')")
    browser.press("/")
    browser.js("document.execCommand('insertText', false, '<I>ODD</I>')")
    shown = "[...document.querySelectorAll('.card:not([hidden]) .answer')].filter(a => a.closest('.cluster'))"
    assert browser.js(f"{shown}.length > 0 && {shown}.every(a => a.textContent.includes('<i>odd</i>'))")

    clusters = browser.js("document.querySelector('#dots').dataset.clusters.split(' ')")
    assert browser.js("document.querySelectorAll('#errors use').length") == len(clusters) == 60
    browser.js(
        "document.querySelectorAll('#errors use')[7].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    )
    assert browser.js("document.querySelectorAll('#errors use.lit').length") == clusters.count(clusters[7])

    browser.js("document.querySelector('[data-do=theme]').click()")
    light, dark = (
        browser.js(
            f"(document.documentElement.dataset.theme = '{t}', getComputedStyle(document.body).backgroundColor)"
        )
        for t in ("light", "dark")
    )
    assert light != dark
    assert browser.complaints() == []
    assert {address.split(":")[0] for address in browser.requested()} <= {"file", "data"}
    assert [address for address in browser.requested() if address.startswith("file")] == [page]


def test_files_and_classes_are_found(browser, make_study):
    study = make_study(count=60, names=["stop", "yield", "9"], prefix="image_a")
    study.split("test").score[:] = 0.99
    browser.fresh(write_report(study, images=3).as_uri())
    seen = "[...document.querySelectorAll('.cluster {}')].filter(one => one.checkVisibility())"

    def find(words):
        browser.js(
            f"(f => {{ f.value = {json.dumps(words)}; f.dispatchEvent(new Event('input')); }})"
            "(document.querySelector('#find'))"
        )
        return [browser.js(f"{seen.format(what)}.length") for what in ("h3", ".gallery .path", ".rest li")]

    listed = browser.js("document.querySelector('#cluster-2 .rest li').textContent.split(' ')[0]")
    assert find(listed) == [1, 0, 1]
    assert browser.js("document.querySelector('#cluster-2 .rest').open")
    assert find("0.99") == [0, 0, 0]
    assert browser.js("!document.querySelector('#nothing').hidden")
    assert find("medoid")[0] == 0
    assert find("stop")[0] > 0
    has = (
        "(one => ['.answer span', '.answer b'].some(q => one.querySelector(q).textContent.includes('stop')))"
    )
    assert browser.js(f"{seen.format('.gallery:not(.tiny-row) .text')}.every{has}")
    assert find("") == [3, 9, 0]


def test_phone_and_print_do_not_overflow(browser, make_study):
    browser.open(write_report(make_study(names=["x" * 60, "yield", "b"])).as_uri())
    for width in (380, 800, 1200):
        browser.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        assert browser.js("document.documentElement.scrollWidth") <= width
    browser.command("Emulation.clearDeviceMetricsOverride")
    browser.command("Emulation.setEmulatedMedia", media="print")
    assert browser.js("getComputedStyle(document.querySelector('.bar')).display") == "none"
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.command("Emulation.setEmulatedMedia", media="")


def test_ten_labels_survive_a_reload(browser, make_study, running):
    study = make_study(names=["stop", "yield", "speed 30"])
    study.path.mkdir()
    study.labels[:] = -1
    with running(study) as (address, token):
        browser.fresh(f"{address}/label?token={token}")
        browser.until("document.querySelectorAll('.choices button').length === 3")
        for number in range(10):
            browser.press(str(number % 3 + 1))
            browser.until(f"document.querySelector('#done').textContent.startsWith('{number + 1} of 12')")
        browser.open(f"{address}/label?token={token}")
        browser.until("document.querySelector('#done').textContent === '10 of 12 labelled'")
        assert browser.complaints() == []
        browser.js("document.querySelector('.strip button:nth-child(2)').click()")
        assert browser.js("document.querySelector('.choices [aria-pressed=true]').textContent") == "2yield"
        browser.press("Delete")
        browser.until("document.querySelector('#done').textContent === '9 of 12 labelled'")


# The first name, once the page knows what is there.
NAMED = "document.querySelector('.review [name=name]:not([readonly])')"


def test_notes_survive_a_reload(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until(f"!!{NAMED}")
        browser.js(f"{NAMED}.focus()")
        browser.js("document.execCommand('insertText', false, 'too <b>dark</b>')")
        browser.until("document.querySelector('.saved').textContent === 'saved'")
        browser.open(f"{address}/?token={token}")
        browser.until("document.querySelector('.review [name=name]').value === 'too <b>dark</b>'")
        assert browser.complaints() == []
        assert all(url.startswith((address, "data:", "about:")) for url in browser.requested())


def test_decisions_survive_a_reload_and_those_of_others_are_shown(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    name, told = (
        next(iter(cause_identifiers(view(study)).values())),
        "document.querySelector('.saved').textContent",
    )
    decide = (
        "((decision, reviewer) => {{ const form = document.querySelector('.decision'); "
        "form.elements.decision.value = decision; form.elements.reviewer.value = reviewer; form.requestSubmit(); }})"
        "('{}', '{}')"
    )
    ready = "!!document.querySelector('.decision button:enabled')"
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until(ready)
        browser.js(decide.format("accepted", "A. Reviewer"))
        browser.until(f"{told} === 'saved'")
        assert saved_decisions(study.path)[name].decision == "accepted"
        browser.open(f"{address}/?token={token}")
        browser.until(
            f"{ready} && document.querySelector('.decision [name=reviewer]').value === 'A. Reviewer'"
        )
        assert browser.complaints() == []
        shown = asdict(saved_decisions(study.path)[name])
        save_decision(study.path, name, {"decision": "rejected", "reviewer": "B"}, known=shown)
        browser.js(decide.format("", ""))
        browser.until(f"{told}.endsWith('was rejected (B) by others meanwhile.')")
        assert browser.js("document.querySelector('.decision [name=reviewer]').value") == "B"
        browser.js(decide.format("", ""))
        browser.until(f"{told} === 'saved'")
        assert saved_decisions(study.path) == {}


def test_clusters_are_merged_split_and_put_back(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    numbers = "[...document.querySelectorAll('.cluster')].map(c => c.id).sort().join()"
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until(f"!!{NAMED}")
        assert browser.js(numbers) == "cluster-1,cluster-2,cluster-3"
        browser.until("[...document.images].filter(i => i.loading === 'eager' || i.complete).length > 3")
        browser.js("document.querySelector('#cluster-2 [name=name]').focus()")
        browser.js("document.execCommand('insertText', false, 'kept <i>name</i>')")
        assert browser.js("document.querySelector('#cluster-2 [data-edit=merge]').disabled")
        browser.js(
            "(s => { s.value = '3'; s.dispatchEvent(new Event('change', {bubbles: true})); })"
            "(document.querySelector('#cluster-2 [data-merge]'))"
        )
        browser.click("#cluster-2 [data-edit=merge]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-1,cluster-2'")
        headline = "document.querySelector('#h-2').textContent.replace(/\\s+/g, ' ').trim()"
        browser.until(f"{headline} === '2 kept <i>name</i>'")
        assert "3 merged in" in browser.js("document.querySelector('#cluster-2 .edited').textContent")
        browser.click("#cluster-1 [data-edit=split]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-1,cluster-2,cluster-4'")
        for left in ("cluster-1,cluster-2", "cluster-1,cluster-2,cluster-3"):
            browser.until("!!document.querySelector('[data-edit=undo]')")
            browser.click("[data-edit=undo]")
            browser.until(f"document.readyState === 'complete' && {numbers} === '{left}'")
        assert browser.js("document.querySelector('[data-edit=undo]')") is None
        assert browser.complaints() == []


def test_a_page_that_others_have_left_behind_is_told(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    numbers = "[...document.querySelectorAll('.cluster')].map(c => c.id).sort().join()"
    told = "document.querySelector('.saved').textContent"
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        assert browser.js("location.href + document.cookie") == f"{address}/"
        browser.until(f"!!{NAMED}")
        Review(study).set(3, name="glare")
        for name in ("dark", "dark, too"):
            browser.js(
                f"(i => {{ i.value = '{name}'; i.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
                "(document.querySelector('#cluster-3 [name=name]'))"
            )
            if name == "dark":
                browser.until(f"{told}.endsWith(\"its name is now 'glare'.\")")
        browser.until(f"{told} === 'saved'")
        assert Review(study).of(3)["name"] == "dark, too"
        Review(study).merge(2, 1)
        browser.click("#cluster-2 [data-edit=split]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-2,cluster-3'")
        browser.until(f"{told}.startsWith('not done: ')")
        assert "cluster 1 was merged into 2" in browser.js(told)
        browser.click("#cluster-2 [data-edit=split]")
        browser.until(f"document.readyState === 'complete' && {numbers} === 'cluster-2,cluster-3,cluster-4'")
        assert not browser.js(told)


def test_a_label_that_others_have_given_is_told(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    study.labels[:] = -1
    told, done = (
        "document.querySelector('.saved').textContent",
        "document.querySelector('#done').textContent",
    )
    with running(study) as (address, token):
        browser.fresh(f"{address}/label?token={token}")
        browser.until("document.querySelectorAll('.choices button').length === 3")
        Labels(study).set(int(study.selection.image[0]), 2)
        browser.press("1")
        browser.until(
            f"{told}.includes('labelled by others meanwhile: it is \\'{study.class_names[2]}\\' now')"
        )
        browser.until(f"{done} === '1 of 12 labelled'")
        browser.press("1")
        browser.until(f"{told} === 'saved'")
        assert Labels(study).of(int(study.selection.image[0])) == 0


def test_labels_are_put_into_the_study(browser, make_study, running):
    chosen = "document.querySelector('.choices [aria-pressed=true] span').textContent"
    study = make_study()
    study.path.mkdir()
    study.labels[:] = -1
    with running(study) as (address, token):
        browser.fresh(f"{address}/label?token={token}")
        browser.until("document.querySelectorAll('.choices button').length === 3")
        browser.click("#finish")
        browser.until("document.querySelector('.saved').textContent.includes('no label has been given')")
        for number in range(3):
            browser.press(str(number + 1))
            browser.until(f"document.querySelector('#done').textContent.startsWith('{number + 1} of 12')")
        browser.click("#finish")
        browser.until("document.querySelector('.saved').textContent === 'new labels in the study: 3'")
        first = int(study.selection.image[0])
        study.labels[first] = 2  # as another person's import leaves it
        browser.click("#finish")
        browser.until("document.querySelector('.saved').textContent.includes('nothing was put in')")
        browser.until(f"{chosen} === '{study.class_names[2]}'")
        study.labels[first] = -1
    with h5py.File(study.path / "study.h5") as file:
        assert file["labels/label"][...].tolist() == [0, 1, 2]
        assert [path.decode() for path in file["labels/path"]] == study.split("improvement").path[:3]


def test_pictures_of_a_served_report_come_when_they_are_seen(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until("document.querySelector('.risk .pic').naturalWidth === 40")
        browser.until("document.querySelector('.risk .o0').naturalWidth === 7")
        assert browser.js("[...document.querySelectorAll('.card .pic')].some(i => !i.complete)")
        assert browser.complaints() == []


def test_hostile_names_are_shown_as_text(browser, make_study, running):
    hostile = "<img src=x onerror=alert(1)>\n\u202e\"';--<script>alert(2)</script>"
    study = make_study(names=[hostile, "../b", "日本 é"], prefix=f"../../{hostile}", parameter=hostile)
    study.path.mkdir()
    study._splits["test"].parameters["cause"][:] = hostile
    page = write_report(study).as_uri()
    with running(study) as (address, token):
        for place in (page, f"{address}/?token={token}", f"{address}/label?token={token}"):
            browser.fresh(place)
            browser.until("document.body.textContent.includes('<script>alert(2)</script>')")
            assert browser.js("document.scripts.length") == 1
            assert browser.js("document.querySelectorAll('img[src=x], [onerror]').length") == 0
            assert browser.complaints() == []
            assert not [e for e in browser.events if e.get("method") == "Page.javascriptDialogOpening"]
