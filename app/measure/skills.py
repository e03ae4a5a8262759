"""Right answers by the skill that a question needs: size, place, existence, count, viewpoint.

The splits follow SPEC and ViewSpatial-Bench, on drawn scenes. No model is trained to answer from
the view of a thing in the picture; the answer is left or right, so that chance is one half.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.drawn import truth_of
from app.jobs import first_kind, lanes_at
from app.measure import foil
from app.measure.asking import Answer, Case, Refusal, fingerprint
from app.measure.bench import ANSWERS, ask_lanes, tried_of
from app.measure.report import lane_table
from app.settings import Settings
from models.catalog import find
from models.embedded.world.skills import SKILLS, skill_questions
from models.loading import check
from models.uploads.media import drawn
from models.weights import identify

CODE = ("app/drawn.py", "app/measure/skills.py")
SPLIT = "skills"  # as `bench --split` names it
CHANCE = {"viewpoint": 0.5}  # share right of a guess; the others have many answers


def by_skill(
    model: str,
    scenes: int,
    seed: int,
    methods: Sequence[str],
    ratios: Sequence[float],
    positions: str,
    settings: Settings,
    jobs: int | None = None,
    go_on: bool = False,
) -> dict[str, Any]:
    """Asks every method at every ratio one question of each skill about every scene that has one.

    Args:
        seed: Number of the first scene.
        jobs: Processes of one thread each; one a core by default.
        go_on: Stores the answers, and asks only what no earlier run of this code has asked.
    """
    card = find(model)
    if scenes < 1 or first_kind(card) != "image":
        raise ValueError(
            f"{scenes} scenes on {model} came, wanted at least 1 on a model of pictures."
        )
    check(card, settings.device or None, settings.dtype or None)  # a pool would not say why
    lanes = list(lanes_at(methods, ratios, card.family, positions))
    tried = tried_of(lanes)
    cases = [
        Case(f"{number}", drawn(picture), one.text, tried, truth=truth_of(one), sort=one.sort)
        for number, (picture, one) in enumerate(skill_questions(scenes, seed))
    ]
    named = fingerprint(model, settings, repr(lanes), positions, SPLIT, f"{seed}", code=CODE)
    store = ANSWERS / f"{model}-{named}.jsonl" if go_on else None
    conditions, columns = ask_lanes(model, lanes, cases, settings, jobs, store)
    about = {"model": model, "weights": identify(card), "scenes": scenes, "seed": seed}
    return about | {
        "split": SPLIT,
        "positions": positions,
        "questions": dict(Counter(case.sort for case in cases)),
        "conditions": conditions,
        "rows": [row_of(*lane, column) for lane, column in zip(lanes, columns, strict=True)],
        "against_downsampling": foil.pairs(lanes, columns),
    }


def row_of(name: str, method: Any, column: Sequence[Answer | Refusal]) -> dict[str, Any]:
    """One lane: its share right by skill, a box from IoU 0.5 on; one refusal refuses the lane."""
    row = {"method": name, "retention_ratio": getattr(method, "retention_ratio", None)}
    for refusal in column:
        if isinstance(refusal, Refusal):
            return row | {"refused": refusal.reason, "smallest": refusal.smallest}
    ran = [answer for answer in column if isinstance(answer, Answer)]
    right: dict[str, list[bool]] = {}
    for answer in ran:
        right.setdefault(answer.sort, []).append(answer.right)
    return row | {
        "refused": "",
        "measured_ratio": statistics.mean(answer.ratio for answer in ran),
        "skills": {skill: statistics.mean(each) for skill, each in right.items()},
    }


def heads(report: Mapping[str, Any]) -> Iterator[str]:
    """The skills that were asked, each with its chance, if it has one."""
    for skill in SKILLS:
        if skill in report["questions"]:
            yield f"{skill} (chance {CHANCE[skill]:.2f})" if skill in CHANCE else skill


def cells(report: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    """The shares of a row that was not refused, under `heads`."""
    return [f"{row['skills'][skill]:.3f}" for skill in SKILLS if skill in report["questions"]]


def table(report: Mapping[str, Any]) -> str:
    """The report as fixed-width text; then each method against down-sampling, if it ran."""
    columns = {
        head: lambda row, at=index: cells(report, row)[at]
        for index, head in enumerate(heads(report))
    }
    return f"{lane_table(report['rows'], columns)}\n{foil.table(report)}".rstrip()
