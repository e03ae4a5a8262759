"""From answers to files: the JSON, its charts and its page."""

from __future__ import annotations

import json
from pathlib import Path

from app.findings import charts, page
from app.findings.report import report
from app.findings.study import CLIPS, PICTURES
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
    """Answer, count and write; the page's path."""
    out = out or ROOT
    told = report(pictures or PICTURES, clips or CLIPS, out / ANSWERS, settings, jobs)
    for path in (RESULTS, PAGE):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
    (out / RESULTS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    charts.draw(told, (out / PAGE).parent)
    (out / PAGE).write_text(page.markdown(told), encoding="utf-8")
    return out / PAGE
