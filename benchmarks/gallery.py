"""The pictures of docs/gallery.md, taken from finished studies.

`hudd demo --case eyes --out eyes`, `hudd demo --out demo`, then this: `benchmarks/gallery.py eyes --demo demo`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvicorn
from browser import Browser
from matplotlib.figure import Figure
from PIL import Image

import hudd
from hudd import plot
from hudd.dossier import write as write_dossier
from hudd.report import write_report
from hudd.review.review import Review
from hudd.server.serve import make_app

IMAGES = Path(__file__).parent.parent / "docs" / "images"


class Field(hudd.Study):
    """The study as if nobody had labelled its improvement set yet."""

    @property
    def labels(self) -> np.ndarray:
        """All unknown."""
        return np.full_like(super().labels, -1)


@contextmanager
def served(study: hudd.Study) -> Iterator[str]:
    """Serve a study's pages; gives the address, without its path, and the token behind a question mark."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = make_app(study, "gallery", hosts={"127.0.0.1"}, port=port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


def save(name: str, png: bytes, width: int = 1600) -> None:
    """Keep a screenshot small."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((width, width), Image.Resampling.LANCZOS)
    image.save(IMAGES / f"{name}.webp", quality=80, method=6)


def draw(name: str, figure: Figure) -> None:
    """Keep a figure, on the white of a page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    save(name, buffer.getvalue(), 1000)


def see(browser: Browser, name: str, css: str) -> None:
    """Take a picture of the page with an element at its top."""
    browser.js(f"document.querySelector('{css}').scrollIntoView({{behavior: 'instant'}})")
    seen = "r => r.top < innerHeight && r.bottom > 0 && r.left < innerWidth"
    browser.until(
        f"[...document.images].filter(i => ({seen})(i.getBoundingClientRect())).every(i => i.complete)"
    )
    time.sleep(0.5)  # for the last of them to be painted
    save(name, browser.screenshot())


def see_dossier(browser: Browser, study: hudd.Study, folder: Path) -> None:
    """Take pictures of a safety dossier: its beginning, and its first conditions."""
    files = {path.name: path for path in write_dossier(study, folder / "dossier")}
    browser.window(960, 1150, scale=1.5)
    browser.open(files["dossier.html"].as_uri())
    see(browser, "dossier", "body")
    see(browser, "dossier-conditions", "#conditions")


def surround(browser: Browser) -> None:
    """Draw the lasso around the dots in the right half of the map."""
    browser.click("#lasso")
    browser.js("document.querySelector('#dots svg').scrollIntoView({behavior: 'instant', block: 'center'})")
    edges = "(r => [r.left, r.top, r.right, r.bottom])(document.querySelector('#dots svg').getBoundingClientRect())"
    left, top, right, bottom = browser.js(edges)
    middle = (left + right) / 2
    browser.drag([(middle, top + 1), (right - 1, top + 1), (right - 1, bottom - 1), (middle, bottom - 1)])


def main() -> None:
    """Take all of them."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("study", type=Path, help="directory of a finished study; it is left as it is")
    options.add_argument(
        "--cluster", type=int, default=2, help="the one to show; the default has lowered lids"
    )
    options.add_argument(
        "--demo", type=Path, help="directory of a finished `hudd demo`, whose causes are shown too"
    )
    chosen = options.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "eyes"
        shutil.copytree(chosen.study, path)
        study = Field.open(path)
        page = write_report(hudd.Study.open(path)).as_uri()
        browser = Browser(Path(folder) / "profile")
        labels = study.clusters.label
        first = chosen.cluster
        browser.window(1280, 860, scale=1.5)
        browser.open(page)
        see(browser, "report-overview", "body")
        see(browser, "report-causes", "#causes")
        see(browser, "report-map", "#map")
        see(browser, "report-retraining", "#retraining")
        see(browser, "report-trust", "#trust")
        browser.window(1280, 1240, scale=1.25)
        surround(browser)
        see(browser, "report-lasso", "#map")
        if chosen.demo is not None:
            browser.window(1280, 2080, scale=1)
            browser.fresh(write_report(hudd.Study.open(chosen.demo)).as_uri())
            see(browser, "report-demo", "#causes")
        browser.window(390, 780, scale=2)
        browser.fresh(page)
        see(browser, "report-phone", "#causes")
        see_dossier(browser, hudd.Study.open(path), Path(folder))
        browser.window(1280, 860, scale=1.5, dark=True)
        browser.fresh(page)
        see(browser, "report-cluster-dark", f"#cluster-{first}")
        browser.window(1280, 860, scale=1.5)
        Review(study).set(
            first,
            name="lids nearly closed",
            note="They leave a slit: relevance lies along it. Ask for more images of tired drivers.",
        )
        with served(study) as address:
            browser.fresh(f"{address}/?token=gallery")
            see(browser, "edit", f"#cluster-{first}")
            browser.fresh(f"{address}/label?token=gallery")
            browser.until("document.querySelectorAll('.choices button').length > 0")
            for done in range(12):
                browser.press("1")
                browser.until(f"document.querySelector('#done').textContent.startsWith('{done + 1} of')")
            see(browser, "label", "body")
        browser.close()
        rows = np.flatnonzero(labels == first)[:1]
        draw("plot-cluster", plot.cluster(study, first, images=8))
        picture = study.source("test").picture(int(study.errors[rows[0]]))
        draw("plot-heatmap", plot.heatmap(picture, study.spatial_heatmaps(rows, study.chosen_layer)[0]))
        clustering = study.clustering_of(study.chosen_layer)
        draw("plot-splits", plot.splits(study.causes))
        draw("plot-wicd", plot.wicd(clustering))
        draw("plot-dendrogram", plot.dendrogram(clustering))
        points = plot.embed(study.distances_of(study.chosen_layer))
        draw("plot-embedding", plot.embedding(points, labels, study.clusters.medoid))


if __name__ == "__main__":
    main()
