"""Inside the model: Nüwa's blocked attention, and flow, entropy and cohesion over the layers.

Each drawn question is asked once with all tokens and once per compressed lane: every lane gives
curves, vanilla and the first compressed lane every blocked cell. A run that was stopped goes on
where it was stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from app.drawn import draw_questions, truth_of
from app.jobs import first_kind
from app.measure.asking import Case, Processes, fingerprint, is_right, score
from app.measure.findings.differences import differences
from app.measure.findings.study import FIRST
from app.resume import Store, ask_missing
from app.settings import Settings
from app.significance import LEVEL, holm, mcnemar, verdict
from models.analysis.cells import cells_of
from models.analysis.study import Study
from models.catalog import find
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.weights import identify
from pruning.methods import create

LANES = {  # the lanes of the curves, after vanilla; the first has blocked cells, too
    "image": (("nuwa", 2 / 9), ("visionzip", 2 / 9)),
    "video": (("flashvid", 0.25), ("visionzip", 0.25)),
}
CODE = ("app/drawn.py", "app/measure/findings/inside.py")
Cell = tuple[str, int]  # the source, and the quarter of the LLM's depth
# Claims of the paper's blocking table: fewer right under the first cell than under the second;
# None = nothing blocked.
CLAIMS: tuple[tuple[str, Cell, Cell | None], ...] = (
    ("boxes", ("visual", 0), None),
    ("boxes", ("visual", 1), None),
    ("boxes", ("visual", 2), None),
    ("boxes", ("visual", 3), None),
    ("boxes", ("visual", 1), ("visual", 0)),
    ("boxes", ("text", 1), ("text", 0)),
    ("boxes", ("last", 1), ("last", 0)),
    ("questions", ("text", 0), None),
    ("questions", ("text", 0), ("visual", 0)),
    ("questions", ("text", 0), ("last", 0)),
)


def look_inside(adapter: Adapter, asked: Case) -> dict[str, Any]:
    """What is stored of a question: by lane, curves, and verdicts and probabilities by cell."""
    truth, cells = asked.truth, cells_of(adapter.decoder.num_layers)
    compressed = [create(name, retention_ratio=ratio) for name, ratio in LANES[asked.media.kind]]
    found: dict[str, Any] = {"name": asked.name, "upload": asked.media.digest}
    found |= {"box": truth.box is not None, "curves": {}, "blocked": {}}
    for index, method in enumerate([create("vanilla"), *compressed]):
        # The encoder does the same for every lane.
        parts = ("llm",) if index else ("llm", "encoder")
        study = Study(truth.box, cells if index < 2 else (), parts)
        *_, result = run_lane(
            adapter, asked.media, asked.question, method, max_new_tokens=24, study=study
        )
        assert isinstance(result, LaneResult) and result.analysis is not None
        analysis = result.analysis
        of_parts = {"llm": analysis.curves, "encoder": analysis.encoder_curves}
        found["curves"][method.name] = {
            part: {name: _filled(values, 5) for name, values in curves.items()}
            for part, curves in of_parts.items()
            if curves
        }
        if analysis.blocked:
            every = [result, *analysis.blocked]
            right, *blocked = [is_right(*score(one.answer, one.boxes, truth)) for one in every]
            ratios = [round(one.probability_ratio, 5) for one in analysis.blocked]
            found["blocked"][method.name] = {"right": right, "cells": blocked, "ratios": ratios}
    return found


def questions_of(model: str, uploads: int) -> Iterator[Case]:
    kind = first_kind(find(model))
    for number, (media, question, _) in enumerate(draw_questions(kind, uploads, FIRST)):
        yield Case(str(number), media, question.text, (), truth=truth_of(question))


def inside(
    model: str, uploads: int, folder: Path, settings: Settings, jobs: int | None = None
) -> dict[str, Any]:
    """The report of one model: rates by cell, claims, and mean curves by lane."""
    store = folder / f"inside-{model}-{fingerprint(model, settings, code=CODE)}.jsonl"
    lines = Store(store, lambda line: (line["name"], line), lambda _, record: record)
    cases = list(questions_of(model, uploads))
    with Processes(model, settings, jobs) as processes:
        ask_missing(cases, partial(processes.map, look_inside), lines)
        machine = processes.conditions()
    records = [lines[case.name] for case in cases]
    about = {"model": model, "uploads": uploads, "weights": identify(find(model))}
    return count(records) | about | {"conditions": machine}


def count(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Blocked cells of each lane that has them, curves averaged, and their differences tested."""
    box = np.array([record["box"] for record in records])
    groups = {"boxes": box, "questions": ~box}
    vanilla, *others = [
        count_cells([record["blocked"][lane] for record in records], groups)
        for lane in records[0]["blocked"]
    ]
    return {
        "asked": {name: int(group.sum()) for name, group in groups.items()},
        **vanilla,
        "compressed": dict(zip(list(records[0]["blocked"])[1:], others, strict=True)),
        "curves": mean_curves(records),
        "differences": differences(records),
    }


def count_cells(records: Sequence[dict[str, Any]], groups: dict[str, np.ndarray]) -> dict[str, Any]:
    """Rates of right answers of one lane by cell, and the paper's claims tested."""
    open_right = np.array([record["right"] for record in records])
    cells = np.array([record["cells"] for record in records])  # (n, 12)
    order: list[Cell] = list(product(("visual", "text", "last"), range(4)))
    by_cell = {cell: cells[:, index] for index, cell in enumerate(order)}
    ratios = np.array([record["ratios"] for record in records])  # (n, 12)
    return {
        "open": {name: _mean(open_right[group]) for name, group in groups.items()},
        "cells": [
            {"source": source, "quarter": quarter}
            | {name: _mean(by_cell[source, quarter][group]) for name, group in groups.items()}
            | {"ratios": {name: _median(ratios[group, at]) for name, group in groups.items()}}
            for at, (source, quarter) in enumerate(order)
        ],
        "claims": judge(groups, by_cell, open_right),
    }


def judge(
    groups: dict[str, np.ndarray], by_cell: dict[Cell, np.ndarray], open_right: np.ndarray
) -> list[dict[str, Any]]:
    """McNemar's test of each claim, adjusted by Holm, and its verdict."""
    rows = []
    for name, first, second in CLAIMS:
        group = groups[name]
        fewer = by_cell[first][group]
        more = (open_right if second is None else by_cell[second])[group]
        _, _, p = mcnemar(fewer, more)
        shares = _mean(fewer), _mean(more)
        rows.append({"of": name, "first": first, "second": second, "shares": shares, "p": p})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        less, rest = row["shares"]  # None without questions: then p is 1
        row |= {"p": p, "verdict": verdict(p < LEVEL and less < rest, p)}
    return rows


def mean_curves(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By lane, part and measure, the mean over questions that have a value."""
    found: dict[str, Any] = {}
    for lane, parts in records[0]["curves"].items():
        found[lane] = {
            part: {
                name: _means([record["curves"][lane][part][name] for record in records])
                for name in curves
            }
            for part, curves in parts.items()
        }
    return found


def _means(curves: list[list[float | None]]) -> list[float | None]:
    values = np.array(curves, dtype=float)  # None becomes NaN
    some = np.isfinite(values).any(0)
    means = np.full(values.shape[1], np.nan)
    means[some] = np.nanmean(values[:, some], axis=0)
    return _filled(means, 4)


def _filled(values: np.ndarray, digits: int) -> list[float | None]:
    """The values of a curve; None where a layer has none, as JSON has no NaN."""
    return [round(value, digits) if np.isfinite(value) else None for value in values.tolist()]


def _median(values: np.ndarray) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None


def _mean(values: np.ndarray) -> float | None:
    """The share of those that are right; None of no questions."""
    return round(float(values.mean()), 4) if len(values) else None
