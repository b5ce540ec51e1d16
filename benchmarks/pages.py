"""What a browser notes of the pages: requests, bytes, first and largest paint, how far content shifts.

python benchmarks/pages.py             # makes the digits demo and builds the documentation
python benchmarks/pages.py --study S   # pages of a study that is there; it is left as it is

The report and the home page of the documentation are served as files, uncompressed; the label page by hudd. Shifts are
summed while the page loads, and again with those that scrolling to its end makes. The bounds are those that Lighthouse
calls good.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import harness
from browser import Browser
from gallery import Field, served

from hudd.report import write_report

ROOT = Path(__file__).resolve().parent.parent
BOUNDS = {"largest_paint_seconds": 2.5, "layout_shift": 0.1, "layout_shift_scrolled": 0.1}
_NOTED = """new Promise(done => {
  let shift = 0, largest = 0;
  const watch = (type, take) =>
    new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, buffered: true});
  watch('layout-shift', entry => { shift += entry.value; });
  watch('largest-contentful-paint', entry => { largest = entry.startTime; });
  setTimeout(() => done({shift, largest,
    first: performance.getEntriesByName('first-contentful-paint')[0].startTime}), 500);
})"""
_SCROLLED = """(async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo({top: y, behavior: 'instant'});
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
  }
})()"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def files(folder: Path) -> Iterator[str]:
    """Serve a folder; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def noted(browser: Browser, address: str) -> dict[str, float]:
    """What the browser notes of a page, opened from an empty one with nothing cached."""
    browser.command("Network.setCacheDisabled", cacheDisabled=True)
    browser.fresh(address)
    browser.until("performance.getEntriesByName('first-contentful-paint').length > 0")
    loading = browser.js(_NOTED)
    requests = [one for one in browser.requested() if one.startswith("http")]
    ended = [e["params"] for e in browser.events if e.get("method") == "Network.loadingFinished"]
    browser.js(_SCROLLED)
    return {
        "requests": len(requests),
        "transferred_kb": round(sum(one["encodedDataLength"] for one in ended) / 1000, 1),
        "first_paint_seconds": round(loading["first"] / 1000, 2),
        "largest_paint_seconds": round(loading["largest"] / 1000, 2),
        "layout_shift": round(loading["shift"], 4),
        "layout_shift_scrolled": round(browser.js(_NOTED)["shift"], 4),
    }


def main() -> None:
    """Open all of them and write the record."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "pages")
    options.add_argument("--study", type=Path, help="a clustered study; by default the digits demo is made")
    options.add_argument("--site", type=Path, help="the built documentation; by default it is built")
    given = harness.parse(options)
    machine = harness.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study, site = folder / "study", given.site or folder / "site"
        if given.study is None:
            made = [sys.executable, "-m", "hudd", "demo", "--case", "digits", "--out", str(study)]
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        else:
            shutil.copytree(given.study, study)
        if given.site is None:
            build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
            subprocess.run(build, check=True, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
        opened = Field.open(study)
        errors = len(opened.errors)
        report = write_report(opened, folder / "report")
        browser = Browser(folder / "profile")
        try:
            browser.window(1280, 900)
            with files(report.parent) as reports, files(site) as documents, served(opened) as own:
                pages = {
                    "report": noted(browser, f"{reports}/{report.name}"),
                    "label page": noted(browser, f"{own}/label?token=gallery"),
                    "documentation": noted(browser, f"{documents}/index.html"),
                }
        finally:
            browser.close()
    columns = tuple(pages["report"])
    harness.table("Pages", columns, {page: list(told.values()) for page, told in pages.items()})
    record = {
        "machine": machine,
        "versions": harness.versions("hudd", "mkdocs-material"),
        "errors": errors,
        "pages": pages,
        "bounds": BOUNDS,
        "within": {
            page: all(told[name] <= bound for name, bound in BOUNDS.items()) for page, told in pages.items()
        },
    }
    harness.write(given.out, record)


if __name__ == "__main__":
    main()
