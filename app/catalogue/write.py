"""Write what the cards and the matrix of methods and models say: docs/models.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from app.catalogue import page
from app.settings import ROOT

PAGE = ROOT / "docs" / "models.md"
MATRIX = ROOT / "assets" / "results" / "matrix.json"


def draw() -> Iterator[Path]:
    """The page, as cards and matrix give it now."""
    PAGE.write_text(written(), encoding="utf-8")
    yield PAGE


def written() -> str:
    """The page as it should be."""
    return page.markdown(json.loads(MATRIX.read_text(encoding="utf-8")))
