"""axe-core finds nothing serious or critical on the report and the label page, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hudd.report import write_report

pytestmark = [pytest.mark.timing, pytest.mark.slow]

Examine = Callable[[], dict[str, list[str]]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report(browser: Any, make_study: Any, examine: Examine, theme: str) -> None:
    browser.fresh(write_report(make_study(count=60, names=["stop", "yield", "speed 30"])).as_uri())
    browser.js(f"document.documentElement.dataset.theme = {theme!r}")
    assert examine() == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_that_are_served(
    browser: Any, make_study: Any, running: Any, examine: Examine, dark: bool
) -> None:
    study = make_study(names=["stop", "yield", "speed 30"])
    study.path.mkdir()
    study.labels[:] = -1
    browser.window(1280, 900, dark=dark)
    with running(study) as (address, token):
        browser.fresh(f"{address}/?token={token}")
        browser.until("document.querySelector('.review')")
        assert examine() == {}
        browser.fresh(f"{address}/label?token={token}")
        browser.until("document.querySelectorAll('.choices button').length === 3")
        assert examine() == {}
    browser.command("Emulation.setEmulatedMedia", features=[])
    browser.command("Emulation.clearDeviceMetricsOverride")


def test_a_page_that_lacks_something_is_seen(browser: Any, examine: Examine, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><title>x</title><main><img src='data:,'><p style='color:#ccc'>pale</p></main>"
    )
    browser.fresh(page.as_uri())
    assert {"image-alt", "color-contrast", "html-has-lang"} <= set(examine())
