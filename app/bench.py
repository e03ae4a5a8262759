"""Accuracy and time over drawn scenes: methods × retention ratios, one table and one JSON line."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from app.request import method_of
from app.settings import Settings
from app.worker.conditions import conditions
from models.base import Adapter
from models.catalog import load
from models.grounding import iou
from models.media import Media, drawn
from models.pipeline import run_lane
from models.record import LaneResult
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.methods import create

ACCURATE_IOU = 0.5


@dataclass(frozen=True)
class Row:
    """One method at one ratio over all scenes. Rates are shares of 1, times medians in ms."""

    method: str
    retention_ratio: float | None
    measured_ratio: float | None = None
    grounding: float | None = None  # Acc@0.5
    mean_iou: float | None = None
    other: float | None = None  # exact answers
    ttft_ms: float | None = None
    total_ms: float | None = None
    refused: str = ""


def bench(
    model: str,
    scenes: int,
    seed: int,
    methods: Sequence[str],
    ratios: Sequence[float],
    positions: str,
    settings: Settings,
) -> dict:
    """Run it. Every method at every ratio answers the same questions, vanilla once."""
    from models.embedded.questions import evaluation_questions

    if scenes < 1:
        raise ValueError(f"{scenes} scenes came, wanted at least 1.")
    adapter = load(model, settings.device or None, settings.dtype or None)
    cases = list(evaluation_questions(scenes, seed))
    lanes = list(_lanes(methods, ratios, positions))
    scores: list[list[tuple[LaneResult, object]]] = [[] for _ in lanes]
    refused = [""] * len(lanes)
    for picture, question in tqdm(cases, desc="questions", disable=not sys.stderr.isatty()):
        media = drawn(picture)
        for index, (_, method) in enumerate(lanes):
            if refused[index]:
                continue
            try:
                scores[index].append((_answer(adapter, media, question.text, method), question))
            except BudgetError as error:
                refused[index] = str(error)
    rows = [
        _row(name, method, score, why)
        for (name, method), score, why in zip(lanes, scores, refused, strict=True)
    ]
    return {
        "model": model,
        "scenes": scenes,
        "seed": seed,
        "positions": positions,
        "questions": {
            "grounding": sum(question.box is not None for _, question in cases),
            "other": sum(question.box is None for _, question in cases),
        },
        "conditions": conditions(adapter),
        "rows": [asdict(row) for row in rows],
    }


def _lanes(
    methods: Sequence[str], ratios: Sequence[float], positions: str
) -> Iterator[tuple[str, CompressionMethod]]:
    """Each with the name it was asked for by: "nuwa:paper" is not "nuwa"."""
    for name in methods:
        if name == "vanilla":
            yield name, create(name)
        else:
            yield from ((name, method_of(name, ratio, positions)) for ratio in ratios)


def _answer(adapter: Adapter, media: Media, question: str, method: CompressionMethod) -> LaneResult:
    *_, result = run_lane(adapter, media, question, method, max_new_tokens=32)
    assert isinstance(result, LaneResult)
    return result


def _row(name: str, method: CompressionMethod, score: Iterable, refused: str) -> Row:
    score = list(score)
    ratio = getattr(method, "retention_ratio", None)
    if refused:
        return Row(name, ratio, refused=refused)
    overlaps = [
        float(iou(question.box, result.boxes[:1])[0]) if len(result.boxes) else 0.0
        for result, question in score
        if question.box is not None
    ]
    exact = [
        result.answer.strip() == question.answer
        for result, question in score
        if question.box is None
    ]
    results = [result for result, _ in score]
    return Row(
        method=name,
        retention_ratio=ratio,
        measured_ratio=statistics.mean(result.trace.average for result in results),
        grounding=_mean([overlap >= ACCURATE_IOU for overlap in overlaps]),
        mean_iou=_mean(overlaps),
        other=_mean(exact),
        ttft_ms=1e3 * statistics.median(result.timeline.ttft for result in results),
        total_ms=1e3 * statistics.median(result.timeline.total for result in results),
    )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(map(float, values)) if values else None


def table(report: dict) -> str:
    """The report as fixed-width text."""
    heads = ("method", "asked", "run", "Acc@0.5", "mIoU", "other", "TTFT ms", "total ms")
    lines = [heads]
    for row in report["rows"]:
        asked = "" if row["retention_ratio"] is None else f"{row['retention_ratio']:.1%}"
        if row["refused"]:
            lines.append((row["method"], asked, "refused: " + row["refused"]))
            continue
        lines.append(
            (
                row["method"],
                asked,
                f"{row['measured_ratio']:.1%}",
                *(_rate(row[name]) for name in ("grounding", "mean_iou", "other")),
                f"{row['ttft_ms']:.1f}",
                f"{row['total_ms']:.1f}",
            )
        )
    full = [line for line in lines if len(line) == len(heads)]
    widths = [max(len(line[i]) for line in full) for i in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    )


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def save(report: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
