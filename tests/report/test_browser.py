"""Pages driven in headless Chromium, over its debugging pipe."""

import itertools
import json
import os
import shutil
import subprocess
import time
from base64 import b64decode

import pytest

from hudd.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-pipe --window-size=1280,900"
)


class Browser:
    """One page of a Chromium of its own."""

    def __init__(self, profile):
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        command = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" {FLAGS} --user-data-dir="$1"'
        self.process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, str(profile)],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._buffer, self.events, self._session = itertools.count(1), b"", [], None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method, **parameters):
        number = next(self._number)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._in, 1 << 20)
                assert part, "Chromium has gone"
                self._buffer += part
            line, self._buffer = self._buffer.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def js(self, expression):
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, seconds=20):
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.05)

    def open(self, address):
        self.command("Page.navigate", url=address)
        self.until(
            f"location.href.split('#')[0] === {json.dumps(address)} && document.readyState === 'complete'"
        )

    def press(self, key):
        text = {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, css):
        self.js(
            f"document.querySelector({json.dumps(css)}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
        )
        box = self.js(
            f"(() => {{ const r = document.querySelector({json.dumps(css)}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1
            )

    def screenshot(self, path):
        path.write_bytes(b64decode(self.command("Page.captureScreenshot")["data"]))

    def complaints(self):
        """What went wrong in the page: exceptions, errors and refusals of its policy."""
        self.js("1")
        wrong = [e for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return wrong + [
            e
            for e in self.events
            if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]

    def requested(self):
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def close(self):
        try:
            self._session = None
            self.command("Browser.close")
        finally:
            self.process.wait(20)
            os.close(self._in)
            os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def visible(css):
    return f"getComputedStyle(document.querySelector({json.dumps(css)})).visibility === 'visible'"


def test_report_is_used_from_disk(browser, make_study):
    page = write_report(make_study(count=60, names=["stop", "yield", "<i>odd</i>"])).as_uri()
    browser.events.clear()
    browser.open(page)
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
        browser.events.clear()
        browser.open(f"{address}/label?token={token}")
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


def test_notes_survive_a_reload(browser, make_study, running):
    study = make_study()
    study.path.mkdir()
    with running(study) as (address, token):
        browser.events.clear()
        browser.open(f"{address}/?token={token}")
        browser.until("document.querySelector('.review')")
        browser.js("document.querySelector('.review [name=name]').focus()")
        browser.js("document.execCommand('insertText', false, 'too <b>dark</b>')")
        browser.until("document.querySelector('.saved').textContent === 'saved'")
        browser.open(f"{address}/?token={token}")
        browser.until("document.querySelector('.review [name=name]').value === 'too <b>dark</b>'")
        assert browser.complaints() == []
        assert all(url.startswith((address, "data:", "about:")) for url in browser.requested())
