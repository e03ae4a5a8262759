"""Asks, counts and writes the findings: JSON, charts and page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.measure.findings import charts, page
from app.measure.findings.inside import inside
from app.measure.findings.report import NOTHING, combined, report
from app.measure.findings.study import studies
from app.measure.findings.tables_page import tables_text
from app.settings import ROOT, Settings
from models.catalog import find
from models.weights import identify

PICTURES, CLIPS = 150, 120  # of each seed
INSIDE = 390  # uploads of each model: at least 300 questions of each kind, attention blocked
ANSWERS = Path("out", "findings")  # stores of answers, from which a stopped run goes on
RESULTS = Path("assets", "results", "findings.json")
PAGE = Path("docs", "findings.md")


def findings(
    count: int | None,
    jobs: int | None,
    out: Path | None,
    settings: Settings,
    inside_only: bool = False,
    model: str | None = None,
) -> tuple[str, Path]:
    """The papers' tables beside ours, and the path of the page.

    Args:
        count: pictures and clips of each seed; None asks all. Others need an `out` of their own.
        jobs: processes; None is one per core.
        out: folder of docs, results and stored answers; None is the checkout.
        settings: device and number format.
        inside_only: asks for Findings 2 and 4; the results of the others stay as they are stored.
        model: asks this one only; the other's results stay as they are stored, if they are of its
            present weights.
    """
    if count is not None and out is None:
        raise ValueError(
            f"--count {count} would replace the page of the checkout; name a folder: --out."
        )
    if count is not None and count < 1:
        raise ValueError(f"{count} pictures and clips of each seed came, wanted 1 or more.")
    counts = (PICTURES, CLIPS) if count is None else (count, count)
    out = out or ROOT
    asked = [study for study in studies(*counts) if model in (None, study.model)]
    if not asked:
        raise ValueError(f"{model} came, wanted one of the embedded models.")
    found = stored(out / RESULTS)
    if not inside_only:
        new = report(asked, out / ANSWERS, settings, jobs)
        found = combined(new, found) | {"inside": found["inside"]}
        _write(found, out / RESULTS)
    for study in asked:
        insight = inside(study.model, count or INSIDE, out / ANSWERS, settings, jobs)
        found["inside"] = {**found["inside"], study.model: insight}
        _write(found, out / RESULTS)
    *_, path = draw(out)
    return tables_text(found["tables"]), path


def stored(path: Path) -> dict[str, Any]:
    """The stored results of the models whose weights are still the same."""
    found = NOTHING | (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})

    def current(part: str) -> dict[str, Any]:
        all_models = found.get(part, {}).items()
        return {name: one for name, one in all_models if one["weights"] == identify(find(name))}

    kept = combined(NOTHING, found | {"models": current("models")})
    return kept | {"inside": current("inside")}


def _write(found: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def draw(out: Path = ROOT) -> Iterator[Path]:
    """Writes charts and page from the stored results; yields the path of each file."""
    found = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    (out / PAGE).parent.mkdir(parents=True, exist_ok=True)
    yield from charts.draw(found, (out / PAGE).parent)
    (out / PAGE).write_text(page.markdown(found), encoding="utf-8")
    yield out / PAGE
