"""From answers to files: the JSON, its charts and its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from app.measure.findings import charts
from app.measure.findings import document as page
from app.measure.findings.report import report
from app.measure.findings.study import CLIPS, PICTURES
from app.settings import ROOT, Settings

ANSWERS = Path("out", "findings")  # kept between runs, so that a stopped one goes on
RESULTS = Path("assets", "results", "findings.json")
PAGE = Path("docs", "findings.md")


def findings(
    pictures: int | None,
    clips: int | None,
    jobs: int | None,
    out: Path | None,
    settings: Settings,
) -> Path:
    """Answer, count and write; the page's path. A trial of other counts has its own folder."""
    counts = [
        default if asked is None else asked
        for asked, default in ((pictures, PICTURES), (clips, CLIPS))
    ]
    if out is None and counts != [PICTURES, CLIPS]:
        raise ValueError(
            "Other counts would replace the page of the checkout; name a folder: --out."
        )
    if min(counts) < 1:
        raise ValueError(
            f"{counts[0]} pictures and {counts[1]} clips of each seed, wanted 1 or more."
        )
    out = out or ROOT
    told = report(*counts, out / ANSWERS, settings, jobs)
    (out / RESULTS).parent.mkdir(parents=True, exist_ok=True)
    (out / RESULTS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    *_, path = draw(out)
    return path


def draw(out: Path = ROOT) -> Iterator[Path]:
    """The charts and the page, from the stored results; yields the path of each file."""
    told = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    (out / PAGE).parent.mkdir(parents=True, exist_ok=True)
    yield from charts.draw(told, (out / PAGE).parent)
    (out / PAGE).write_text(page.markdown(told), encoding="utf-8")
    yield out / PAGE
