"""What may be set, and what is refused before anything starts."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app.settings import LEAST, Settings


@pytest.mark.parametrize("name", LEAST)
def test_a_setting_below_its_least_value_is_refused_and_that_value_is_not(name, monkeypatch):
    monkeypatch.setenv(f"TOKENSCOPE_{name.upper()}", f"{LEAST[name] - 1}")
    with pytest.raises(ValueError, match=f"{name.upper()} is -?.*, wanted {LEAST[name]} or more"):
        Settings.from_environment()
    monkeypatch.setenv(f"TOKENSCOPE_{name.upper()}", f"{LEAST[name]}")
    assert getattr(Settings.from_environment(), name) == LEAST[name]


def test_every_number_has_a_least_value():
    assert {one.name for one in fields(Settings) if not isinstance(one.default, str)} == set(LEAST)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="REPLICA_GPUS is nan, wanted 0 or more"):
        Settings(replica_gpus=float("nan"))


def test_a_misspelt_setting_is_refused_with_the_nearest_there_is(monkeypatch):
    monkeypatch.setenv("TOKENSCOPE_MAX_UPLOADS_MB", "1")
    with pytest.raises(ValueError, match="no setting TOKENSCOPE_MAX_UPLOADS_MB") as refused:
        Settings.from_environment()
    assert "the nearest is TOKENSCOPE_MAX_UPLOAD_MB." in str(refused.value)
