"""To wait for what another thread does."""

from __future__ import annotations

import threading

import pytest

from app.reading.reader import Reader


def reached(monkeypatch: pytest.MonkeyPatch, reader: Reader, step: str) -> threading.Event:
    """Is set once a reading has come to a step of the reader's."""
    began, do = threading.Event(), getattr(reader, step)
    monkeypatch.setattr(reader, step, lambda *arguments: began.set() or do(*arguments))
    return began
