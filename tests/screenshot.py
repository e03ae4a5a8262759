"""Draws the README's picture of the page, its recorded first view: `make screenshots`."""

from __future__ import annotations

from app.settings import ROOT
from tests.app.browser import await_story, launched, served, tab
from tests.app.fake_worker import FakeWorker

PICTURE = ROOT / "assets" / "screenshots" / "page.png"
DRAWN = "#lanes figure[data-drawn]"


def main() -> None:
    """Write the picture; no model runs, because the first view is a recording."""
    with launched() as chromium, served(FakeWorker()) as url, tab(chromium, 1440, 1060) as page:
        page.goto(url)
        await_story(page)
        page.locator(DRAWN).nth(3).wait_for()
        page.locator("#staircase svg.marks").wait_for()
        page.screenshot(path=PICTURE, animations="disabled")
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
