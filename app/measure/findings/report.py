"""The findings as one JSON: rates by seed, losses, tests, verdicts. The page is drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from app.measure.findings.answered import Answered
from app.measure.findings.answers import answers, conditions_of, weights_of
from app.measure.findings.claims import judged
from app.measure.findings.paired import holm
from app.measure.findings.study import (
    CLIP_LANES,
    FLOOR,
    PICTURE_LANES,
    PICTURE_RATIOS,
    PUBLISHED,
    SEEDS,
    SELECTIONS,
    STRATEGIES,
    VANILLA,
    Lane,
    Study,
    numbered,
    studies,
)
from app.settings import Settings
from pruning.methods import create

PAIRS = (("pesp", "perc"), ("rpme", "perc"), ("rpme", "pesp"))  # of numberings, that are tested


def report(
    pictures: int, clips: int, folder: Path, settings: Settings, jobs: int | None = None
) -> dict[str, Any]:
    """Answer what is not answered yet, then count."""
    planned = studies(pictures, clips)
    answered = {study.model: Answered(answers(study, folder, settings, jobs)) for study in planned}
    return {
        "seeds": len(SEEDS),
        "models": {study.model: _told(study, settings, answered) for study in planned},
        "drops": drops(answered["embedded-image"]),
        "positions": positions(answered["embedded-image"]),
        "clips": on_clips(answered["embedded-video"]),
        "claims": judged(answered),
    }


def _told(study: Study, settings: Settings, answered: dict[str, Answered]) -> dict[str, Any]:
    told = answered[study.model]
    return {
        "uploads": study.count,
        "boxes": int(told.box.sum()),
        "questions": int((~told.box).sum()),
        "lanes": len(study.lanes),
        "weights": weights_of(study),
        "conditions": conditions_of(study, settings),
    }


def _row(told: Answered, lane: Lane, **asked: np.ndarray) -> dict[str, Any]:
    """A lane by name and its rates, or why it did not run."""
    title = "Next to nothing" if lane == FLOOR else create(lane.method).title
    row = {"method": lane.method, "title": title, "ratio": lane.ratio, "positions": lane.positions}
    if why := told.refused(lane):
        return row | {"refused": why}
    rates = {name: told.rate(lane, where) for name, where in asked.items()}
    return row | {"ran": told.ran(lane)} | rates


def drops(told: Answered) -> list[dict]:
    """Finding 1: what each method loses on questions, and what on grounding."""
    rows = []
    for lane in (VANILLA, FLOOR, *PICTURE_LANES):
        row = _row(told, lane, questions=~told.box, grounding=told.box)
        if lane in PICTURE_LANES and "refused" not in row:
            row["lost"] = told.lost(lane)
            row["falls"] = _falls(**row["lost"])
        rows.append(row)
    return rows


def _falls(low: float, high: float, **_: float) -> str:
    """Which falls further, by the interval of the difference."""
    return "boxes" if low > 0 else "questions" if high < 0 else "not decided"


def positions(told: Answered) -> list[dict]:
    """Finding 3: the same survivors under three numberings, tested two by two on boxes."""
    rows, asked = [], {"grounding": told.box, "questions": ~told.box}
    for method, ratio in product(SELECTIONS, PICTURE_RATIOS):
        lanes = {strategy: numbered(method, ratio, strategy) for strategy in STRATEGIES}
        row = {"method": method, "title": create(method).title, "ratio": ratio}
        if why := told.refused(lanes["perc"]):
            rows.append(row | {"refused": why})
            continue
        rates = {
            strategy: {name: told.rate(lane, where) for name, where in asked.items()}
            for strategy, lane in lanes.items()
        }
        tests = {
            f"{first}_{second}": told.against(lanes[first], lanes[second], told.box)
            for first, second in PAIRS
        }
        rows.append(row | {"published": PUBLISHED[method], "tests": tests} | rates)
    _adjust([test for row in rows for test in row.get("tests", {}).values()])
    return rows


def on_clips(told: Answered) -> list[dict]:
    """FlashVID beside the others: on questions, on boxes, on what moves and what stands still."""
    asked = {
        "questions": ~told.box,
        "boxes": told.box,
        "moving": told.moving,
        "still": told.still,
    }
    rows = [_row(told, lane, **asked) for lane in (VANILLA, FLOOR)]
    for positions, lanes in CLIP_LANES.items():
        flashvid = {lane.ratio: lane for lane in lanes if lane.method == "flashvid"}
        for lane in lanes:
            row, beside = _row(told, lane, **asked) | {"positions": positions}, flashvid[lane.ratio]
            if lane != beside and not (told.refused(lane) or told.refused(beside)):
                row["flashvid"] = {
                    name: told.against(beside, lane, where) for name, where in asked.items()
                }
            rows.append(row)
    for name in asked:
        _adjust([row["flashvid"][name] for row in rows if "flashvid" in row])
    return rows


def _adjust(tests: Sequence[dict]) -> None:
    """Add Holm's p over one family of tests."""
    for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_holm"] = p
