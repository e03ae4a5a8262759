"""A real Chromium for the tests: which one, how it is started, and a tab that forgives nothing."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

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
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@contextmanager
def tab(chromium, width=1440, height=1000, **options):
    """A page that fails the test on any error in the console."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert not errors, errors


def give_picture(page, path) -> None:
    """Upload a picture, and wait until the page shows it."""
    page.locator("#picture input[type=file]").first.set_input_files(path)
    page.locator("#picture img").wait_for()
