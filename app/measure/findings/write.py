"""Asks, counts and writes the findings: JSON, charts and page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from app.measure.findings import charts, page
from app.measure.findings.report import report
from app.measure.findings.study import CLIPS, PICTURES
from app.settings import ROOT, Settings

ANSWERS = Path("out", "findings")  # stores of answers, from which a stopped run goes on
RESULTS = Path("assets", "results", "findings.json")
PAGE = Path("docs", "findings.md")


def findings(
    pictures: int | None,
    clips: int | None,
    jobs: int | None,
    out: Path | None,
    settings: Settings,
) -> Path:
    """The path of the page. Counts other than the defaults need a folder `out` of their own."""
    counts = (PICTURES if pictures is None else pictures, CLIPS if clips is None else clips)
    if out is None and counts != (PICTURES, CLIPS):
        raise ValueError(
            "Other counts would replace the page of the checkout; name a folder: --out."
        )
    if min(counts) < 1:
        raise ValueError(
            f"{counts[0]} pictures and {counts[1]} clips of each seed, wanted 1 or more."
        )
    out = out or ROOT
    found = report(*counts, out / ANSWERS, settings, jobs)
    (out / RESULTS).parent.mkdir(parents=True, exist_ok=True)
    (out / RESULTS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    *_, path = draw(out)
    return path


def draw(out: Path = ROOT) -> Iterator[Path]:
    """Writes charts and page from the stored results; yields the path of each file."""
    found = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    (out / PAGE).parent.mkdir(parents=True, exist_ok=True)
    yield from charts.draw(found, (out / PAGE).parent)
    (out / PAGE).write_text(page.markdown(found), encoding="utf-8")
    yield out / PAGE
