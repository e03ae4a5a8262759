"""Fixtures of the page's tests: an upload of each kind, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from tests.app import factory


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Every test that asks for a browser has the marker `browser`."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


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
    from tests.app.browser import launched  # imports the page, which most tests do without

    with launched() as browser:
        yield browser
