"""Write what the cards and the matrix of methods and models say: docs/models.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.docs import costs
from app.docs import models_page as page
from app.settings import ROOT

PAGE = ROOT / "docs" / "models.md"
RESULTS = ROOT / "assets" / "results"
MATRIX = RESULTS / "matrix.json"
COUNTED = ("llava-1.5-7b", "llava-onevision-7b", "llava-video-7b", "qwen2.5-vl-7b")
MEASURED = ("embedded-image", "embedded-video")


def draw() -> Iterator[Path]:
    """The page, as cards and matrix give it now."""
    PAGE.write_text(written(), encoding="utf-8")
    yield PAGE


def written() -> str:
    """The page as it should be."""
    published = _read(RESULTS / "published.json")
    counts = [_read(RESULTS / "costs" / f"{name}.json") for name in COUNTED]
    times = [_read(RESULTS / "timing" / f"{name}.json") for name in MEASURED]
    return page.markdown(_read(MATRIX), costs.section(counts, times, list(published.values())))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
