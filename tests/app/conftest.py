"""Fixtures of the page's tests: an upload of each kind, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from tests.app import factory
from tests.app.browser import CHROMIUM, FLAGS


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "ball.png"
    Image.fromarray(factory.picture(320, 240)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(factory.clip_file(tmp_path_factory.mktemp("clips") / "ball.mp4"))


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
