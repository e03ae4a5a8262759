"""The settings: what is refused before the start, and the page that lists them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app.docs import pages, settings_page
from app.settings import Settings

LEAST = {one.name: one.metadata["least"] for one in fields(Settings)}
NUMBERS = [one.name for one in fields(Settings) if not isinstance(one.default, str)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_setting_below_its_least_value_is_refused_and_that_value_is_not(name, monkeypatch):
    monkeypatch.setenv(f"TOKENSCOPE_{name.upper()}", f"{LEAST[name] - 1}")
    with pytest.raises(ValueError, match=f"{name.upper()} is -?.*, wanted {LEAST[name]} or more"):
        Settings.from_environment()
    monkeypatch.setenv(f"TOKENSCOPE_{name.upper()}", f"{LEAST[name]}")
    assert getattr(Settings.from_environment(), name) == LEAST[name]


def test_every_number_has_a_least_value():
    assert {name for name, least in LEAST.items() if least is not None} == set(NUMBERS)


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="REPLICA_GPUS is nan, wanted 0 or more"):
        Settings(replica_gpus=float("nan"))


def test_a_misspelt_setting_is_refused_with_the_nearest_name(monkeypatch):
    monkeypatch.setenv("TOKENSCOPE_MAX_UPLOADS_MB", "1")
    with pytest.raises(ValueError, match="no setting TOKENSCOPE_MAX_UPLOADS_MB") as refused:
        Settings.from_environment()
    assert "the nearest is TOKENSCOPE_MAX_UPLOAD_MB." in str(refused.value)


def test_the_page_in_the_checkout_is_the_one_the_settings_give():
    assert pages.SETTINGS_PAGE.read_text() == settings_page.markdown()


def test_the_page_lists_every_setting():
    table = settings_page.settings_table()
    assert all(f"| `{one.name.upper()}` |" in table for one in fields(Settings))
