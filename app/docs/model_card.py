"""What was measured of the embedded models, for their card: accuracy, place, attention.

Results of other weights than the present ones are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.measure.typical import MODELS, RESULTS
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED
from models.catalog import find
from models.embedded.world.hard import SPLITS
from models.weights import identify

HARDER = {
    "plain": "as trained",
    "sizes": "unseen sizes",
    "crowd": "10–12 objects, 5–6 in clips",
    "clutter": "cluttered background",
    "alike": "look-alikes",
    "hard": "all four at once",
}


def part() -> str:
    """The measured part of the card, in Markdown."""
    return "\n\n".join([_accuracy(), _sorts(), _places(), *_attention()])


def current(path: Path) -> dict[str, Any] | None:
    """A stored report, if it is of the present weights."""
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"model": ""}
    same = report["model"] and report.get("weights") == identify(find(report["model"]))
    return report if same else None


def _accuracy() -> str:
    rows = [
        (f"`{split}`: {HARDER[split]}", *(cell for kind in MODELS for cell in _shares(kind, split)))
        for split in SPLITS
    ]
    head = ("split", "pictures, asked", "boxes", "other answers", "clips, asked", "boxes", "others")
    return markdown_table(head, rows)


def _shares(kind: str, split: str) -> tuple[str, str, str]:
    """Uploads, the share of boxes right with the mean IoU, and that of other answers."""
    report = current(RESULTS / "accuracy" / f"{kind}-{split}.json")
    if report is None:
        return NOT_MEASURED, "", ""
    (row,) = report["rows"]
    uploads = report["scenes" if kind == "image" else "clips"]
    return f"{uploads:,}", f"{row['grounding']:.3f} ({row['mean_iou']:.3f})", f"{row['other']:.3f}"


def _sorts() -> str:
    rows: list[Sequence[str]] = []
    for kind in MODELS:
        report = current(RESULTS / "accuracy" / f"{kind}-plain.json")
        if report is None:
            rows.append((f"{kind}, {NOT_MEASURED}", ""))
            continue
        (row,) = report["rows"]
        asked = report["questions"]["sorts"]
        shares = (f"{sort} {share:.3f} ({asked[sort]})" for sort, share in row["sorts"].items())
        rows.append((kind, " · ".join(shares)))
    return markdown_table(("as trained, by sort", "share right (questions)"), rows)


def _places() -> str:
    rows = [
        (
            kind,
            row["states"],
            row["probe"],
            f"{row['error'] / row['grid']:.3f}",
            f"{row['constant_error'] / row['grid']:.3f}",
            f"{row['right']:.3f}",
            f"{row['chance']:.3f}",
        )
        for kind in MODELS
        for row in (current(RESULTS / f"probe-{kind}.json") or {"rows": ()})["rows"]
    ]
    head = ("place, predicted from", "states", "probe", "error, of a side", "of a constant")
    return markdown_table((*head, "row or column right", "chance"), rows or [[NOT_MEASURED] * 7])


def _attention() -> Iterator[str]:
    for kind in MODELS:
        found = current(RESULTS / f"attention-{kind}.json")
        if found is None:
            yield f"Attention of the encoder, {kind}: {NOT_MEASURED}."
            continue
        on, area, first = (
            f"{100 * found[name]:.1f} %"
            for name in ("attention_on_objects", "area_of_objects", "objects_among_first_11%")
        )
        yield (
            f"Attention of the encoder on {found['uploads']} uploads, {kind}: {on} of what methods "
            f"rank by falls on objects, which cover {area} (×{found['times_chance']:.1f} of "
            f"chance). Of the ninth of the tokens that it ranks first, {first} show an object."
        )
