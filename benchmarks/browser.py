"""A headless Chromium driven over its debugging pipe: for tests, pictures and timings of the pages."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe --window-size=1280,900"
)


class Browser:
    """One page of a Chromium of its own.

    Parameters
    ----------
    profile : Path
        An empty folder for what Chromium writes.
    """

    def __init__(self, profile: Path) -> None:
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        command = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" {FLAGS} --user-data-dir="$1"'
        self.process = subprocess.Popen(
            ["bash", "-c", command, str(CHROMIUM), str(profile)],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.events: list[dict[str, Any]] = []
        self._number, self._buffer, self._session = itertools.count(1), b"", ""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result; events on the way are kept."""
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
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def js(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 300) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.05)

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded; a token in it leads to the address without it."""
        self.command("Page.navigate", url=address)
        there = json.dumps(address.split("?token=")[0])
        self.until(f"location.href.split('#')[0] === {there} && document.readyState === 'complete'")

    def fresh(self, address: str) -> None:
        """Go to an address from an empty page, with nothing remembered of what came before."""
        self.open("about:blank")
        self.events.clear()
        self.open(address)

    def window(self, width: int, height: int, *, scale: float = 1, dark: bool = False) -> None:
        """Set the size of the page in CSS pixels, and whether its reader prefers dark pages."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[feature])

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, css: str) -> None:
        """Click in the middle of the first element that fits, once the page has come to rest under it."""
        one = f"document.querySelector({json.dumps(css)})"
        box: list[float] | None = None
        end = time.monotonic() + 300
        while box is None:  # a page read again scrolls back to where it was, some frames after it is loaded
            assert time.monotonic() < end, f"never to be clicked: {css}"
            box = self.js(
                f"(async () => {{ const one = {one}, at = () => one.getBoundingClientRect();"
                " one.scrollIntoView({block: 'center', behavior: 'instant'}); const before = at().y;"
                " for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame);"
                " const r = at(), x = r.x + r.width / 2, y = r.y + r.height / 2;"
                " return r.y === before && one.contains(document.elementFromPoint(x, y)) ? [x, y] : null; })()"
            )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1
            )

    def drag(self, path: Sequence[tuple[float, float]], *, release: bool = True) -> None:
        """Press the mouse at the first of these points, move it over the others, and let it go."""
        last = [("mouseReleased", path[-1])] if release else []
        for kind, (x, y) in [("mousePressed", path[0]), *(("mouseMoved", at) for at in path[1:]), *last]:
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
            )

    def screenshot(self) -> bytes:
        """Return what is seen, as a PNG file."""
        return b64decode(self.command("Page.captureScreenshot")["data"])

    def complaints(self) -> list[dict[str, Any]]:
        """Return what went wrong in the page: exceptions, errors and refusals of its policy."""
        self.js("1")
        wrong = [e for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return wrong + [
            e
            for e in self.events
            if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error"
        ]

    def requested(self) -> list[str]:
        """Return the addresses that the page has asked for."""
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        """End Chromium."""
        try:
            self._session = ""
            self.command("Browser.close")
        finally:
            self.process.wait(20)
            os.close(self._in)
            os.close(self._out)
