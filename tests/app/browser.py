"""A headless Chromium for the tests, and a tab that fails on any error in its console."""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager

import pytest

from app.page.build import build, launch
from app.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
PATIENCE = 240  # seconds until a wait fails; a state ends every wait, even on a busy machine


@contextmanager
def launched():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        options = {"executable_path": CHROMIUM, "args": FLAGS, "timeout": 1000 * PATIENCE}
        with closing(driver.chromium.launch(**options)) as browser:
            yield browser


@contextmanager
def served(worker, settings=None):
    """The address of a page on `worker`, for as long as the block lasts."""
    settings = settings or Settings()
    demo = build(worker, settings)
    _, url, _ = launch(demo, settings, prevent_thread_lock=True, server_port=None, quiet=True)
    try:
        yield url
    finally:
        demo.close()


@contextmanager
def tab(chromium, width=1440, height=1000, **options):
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.set_default_timeout(1000 * PATIENCE)
    page.streams = open_streams(page)
    yield page
    context.close()
    assert not errors, errors


def await_story(page) -> None:
    """Wait until the page shows its first view."""
    page.locator("#figures table").wait_for()


def upload_picture(page, path) -> None:
    """Upload a picture and wait until the page shows it."""
    await_story(page)
    unfold(page)  # a phone hides the form
    page.locator("#picture input[type=file]").first.set_input_files(path)
    page.locator("#picture img").wait_for()


def upload_clip(page, path) -> None:
    """Open the clip tab, upload a clip and wait until the page shows it and its methods."""
    await_story(page)
    page.locator("#kind [role=tab]").nth(1).click()
    page.locator("#clip input[type=file]").first.set_input_files(path)
    page.locator("#clip video").first.wait_for(state="attached")
    page.locator("#methods").get_by_text("FastVID", exact=False).first.wait_for()


def choose_example(page, number: int = 0) -> None:
    """Choose an example whose question is not that of the first view."""
    await_story(page)
    unfold(page)  # a phone hides the form
    before = page.locator("#question textarea").input_value()
    page.locator("#examples button").nth(number).click()
    page.wait_for_function(
        "(text) => document.querySelector('#question textarea').value !== text", arg=before
    )


def unfold(page) -> None:
    """Open the form, which Compare hides."""
    page.locator("#fold input").uncheck()


def open_streams(page) -> set:
    """The requests by which Gradio streams events, as long as they are open."""
    streams = set()
    page.on("request", lambda sent: "/queue/data" in sent.url and streams.add(sent))
    page.on("requestfinished", lambda sent: streams.discard(sent))
    page.on("requestfailed", lambda sent: streams.discard(sent))
    return streams


def reload(page) -> None:
    """Load the page again once no stream is open: cutting one is an error in the console."""
    while page.streams:
        page.wait_for_timeout(50)
    page.reload()


def compare(page, question: str | None = None) -> None:
    """Press Compare and wait until the address names the finished comparison."""
    before = page.url
    if question is not None:
        unfold(page)
        page.locator("#question textarea").fill(question)
    page.locator("#compare").click()
    page.wait_for_function("(url) => location.href !== url", arg=before)
    page.locator("#figures table").wait_for()


def show(page, label: str, view: str, lanes: int = 4) -> None:
    """Choose a view and wait until that many lanes show it."""
    page.locator("#view").get_by_text(label, exact=True).click()
    wait_for_view(page, view, lanes)


def wait_for_view(page, view: str, lanes: int = 4) -> None:
    page.locator(f"#lanes figure[data-drawn={view}]").nth(lanes - 1).wait_for()


def wait_for_overlays(page, count: int) -> None:
    """Wait until that many frames of the chosen view are drawn and visible."""
    page.wait_for_function(
        "(count) => [...document.querySelectorAll('#lanes figure[data-drawn] canvas')].filter("
        "(one) => one.offsetParent && one.width > 100).length === count",
        arg=count,
    )
