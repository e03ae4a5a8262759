"""Counts the answers of the studies: rates by seed, losses, tests and verdicts as one JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from app.measure.findings.answers import ask_study, weights_of
from app.measure.findings.claims import judge_claims
from app.measure.findings.lanes import (
    FLOOR,
    PICTURE_RATIOS,
    PUBLISHED,
    SELECTIONS,
    STRATEGIES,
    VANILLA,
    Lane,
    numbered,
)
from app.measure.findings.rates import Rates
from app.measure.findings.study import CLIP_LANES, PICTURE_LANES, SEEDS, Study
from app.measure.findings.tables import count_tables
from app.settings import Settings
from app.significance import holm
from pruning.methods import create

PAIRS = (("pesp", "perc"), ("rpme", "perc"), ("rpme", "pesp"))  # numberings that are compared


def report(
    asked: Sequence[Study], folder: Path, settings: Settings, jobs: int | None = None
) -> dict[str, Any]:
    """Asks what is not answered yet, then counts the parts about the models of the studies."""
    rates, models = {}, {}
    for study in asked:
        records, conditions = ask_study(study, folder, settings, jobs)
        rates[study.model] = Rates(records)
        boxes = sum(record.box for record in records)
        models[study.model] = {
            "uploads": study.count,
            "boxes": boxes,
            "questions": len(records) - boxes,
            "lanes": len(study.lanes),
            "weights": weights_of(study),
            "conditions": conditions,
        }
    parts = {name: count(rates[model]) for model in models for name, count in PARTS[model].items()}
    shared = {"claims": judge_claims(rates), "tables": count_tables(rates)}
    return NOTHING | {"models": models} | parts | shared


def combined(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """A new report, and from an old one the results of the models that the new one lacks."""
    kept = {name: one for name, one in old["models"].items() if name not in new["models"]}
    models = {name: (kept | new["models"])[name] for name in PARTS if name in kept | new["models"]}
    parts = {
        name: (old if model in kept else new)[name]
        for model, of_model in PARTS.items()
        for name in of_model
    }
    order = list(PARTS)
    shared = {
        name: sorted(
            [*new[name], *(row for row in old[name] if row.get("model") in kept)],
            key=lambda row: order.index(row["model"]),
        )
        for name in ("claims", "tables")
    }
    return new | {"models": models} | parts | shared


def _row(rates: Rates, lane: Lane, positions: str = "", **groups: np.ndarray) -> dict[str, Any]:
    """A lane and its rates on each group of questions, or why the method refuses."""
    row = {
        "method": lane.method,
        "title": "Next to nothing" if lane == FLOOR else create(lane.method).title,
        "retention_ratio": lane.ratio,
        "positions": positions or lane.positions,
        "refused": rates.refused(lane),
    }
    if not row["refused"]:
        row["measured_ratio"] = rates.measured_ratio(lane)
        row |= {name: rates.rate(lane, questions) for name, questions in groups.items()}
    return row


def drops(rates: Rates) -> list[dict]:
    """Finding 1: the losses of each method on questions and on grounding."""
    rows = []
    for lane in (VANILLA, FLOOR, *PICTURE_LANES):
        row = _row(rates, lane, questions=~rates.box, grounding=rates.box)
        if lane in PICTURE_LANES and not row["refused"]:
            row["lost"] = lost = rates.lost(lane)
            falls = "boxes" if lost["low"] > 0 else "questions" if lost["high"] < 0 else ""
            row["falls"] = falls or "not decided"
        rows.append(row)
    return rows


def positions(rates: Rates) -> list[dict]:
    """Finding 3: the same survivors under three numberings, compared two by two on boxes."""
    rows, groups = [], {"grounding": rates.box, "questions": ~rates.box}
    for method, ratio in product(SELECTIONS, PICTURE_RATIOS):
        lanes = {strategy: numbered(method, ratio, strategy) for strategy in STRATEGIES}
        row: dict[str, Any] = {
            "method": method,
            "title": create(method).title,
            "retention_ratio": ratio,
            "refused": rates.refused(lanes["perc"]),
        }
        if not row["refused"]:
            row["published"] = PUBLISHED[method]
            row["tests"] = {
                f"{first}_{second}": rates.compare(lanes[first], lanes[second], rates.box)
                for first, second in PAIRS
            }
            for strategy, lane in lanes.items():
                row[strategy] = {name: rates.rate(lane, asked) for name, asked in groups.items()}
        rows.append(row)
    _adjust([test for row in rows for test in row.get("tests", {}).values()])
    return rows


def on_clips(rates: Rates) -> list[dict]:
    """FlashVID beside the others: on questions, boxes, moving and still objects."""
    groups = {
        "questions": ~rates.box,
        "boxes": rates.box,
        "moving": rates.moving,
        "still": rates.still,
    }
    rows = [_row(rates, lane, **groups) for lane in (VANILLA, FLOOR)]
    for positions, lanes in CLIP_LANES.items():
        flashvid = {lane.ratio: lane for lane in lanes if lane.method == "flashvid"}
        for lane in lanes:
            row, beside = _row(rates, lane, positions, **groups), flashvid[lane.ratio]
            if lane != beside and not (row["refused"] or rates.refused(beside)):
                row["flashvid"] = {
                    name: rates.compare(beside, lane, asked) for name, asked in groups.items()
                }
            rows.append(row)
    for name in groups:
        _adjust([row["flashvid"][name] for row in rows if "flashvid" in row])
    return rows


PARTS = {  # by model, the parts of a report that are about it alone
    "embedded-image": {"drops": drops, "positions": positions},
    "embedded-video": {"clips": on_clips},
}


NOTHING: dict[str, Any] = {
    "seeds": len(SEEDS),
    "models": {},
    "drops": [],
    "positions": [],
    "clips": [],
}
NOTHING |= {"claims": [], "tables": [], "inside": {}}


def _adjust(tests: Sequence[dict]) -> None:
    """Adds Holm's p to one family of tests."""
    for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_holm"] = p
