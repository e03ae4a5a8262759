"""The one place where figures become text."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from app.render.table import text_table
from models.engine.record import PHASES, Comparison, LaneResult
from models.grounding import iou, parse_boxes
from models.uploads.media import Media

NOTHING = "–"


def milliseconds(seconds: float) -> str:
    """Three significant figures: "1,230 ms", "41.2 ms", "0.385 ms"."""
    return f"{figures(seconds * 1e3)} ms"


def megabytes(size: float) -> str:
    return f"{figures(size / 1e6)} MB"


def compute(tflops: float) -> str:
    """ "8.5 TFLOPs", and in GFLOPs where that would begin with zeros."""
    return f"{figures(tflops)} TFLOPs" if tflops >= 0.1 else f"{figures(1e3 * tflops)} GFLOPs"


def percent(share: float) -> str:
    return f"{figures(100 * share)} %"


def times(factor: float) -> str:
    """Two significant figures: "×2.9", "×12", "×0.83"."""
    return f"×{figures(factor, 2)}"


def figures(value: float, count: int = 3) -> str:
    """A number with `count` significant figures, never in powers of ten."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else NOTHING
    rounded = float(f"{value:.{count - 1}e}")
    decimals = count - 1 - int(np.floor(np.log10(abs(rounded))))
    return f"{rounded:,.{max(decimals, 0)}f}"


def lane_labels(comparison: Comparison) -> list[str]:
    """What a chart calls each lane: its title, numbered where a method runs twice."""
    titles = [printable(lane.title) for lane in comparison.lanes]
    labels = []
    for index, title in enumerate(titles):
        turn = titles[:index].count(title) + 1
        labels.append(f"{title} ({turn})" if turn > 1 else title)
    return labels


def lane_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Everything the page, the table and a JSON line say about each lane, as numbers and as text.

    A lane that could not run has `failure`, and no numbers. A speed-up is vanilla's time over the
    lane's; it is None where either was cold, for the first run pays for more than its method.
    `iou` is of the first box in the answer with the true one; an answer without a box has 0 where
    another lane gave one, for then a box was asked for. `exact_match` is None where the true answer
    is a box: two decimals that differ are no mistake.
    """
    labels = lane_labels(comparison)
    rows: list[dict[str, Any]] = []
    for label, lane in zip(labels, comparison.lanes, strict=True):
        row: dict[str, Any] = {"method": lane.method, "title": lane.title, "label": label}
        if isinstance(lane, LaneResult):
            row |= {"failure": None, **_numbers(comparison, lane)}
            row["text"] = _texts(row)
        else:
            row |= {"failure": lane.reason, "text": {}}
        rows.append(row)
    return rows


def conditions_line(comparison: Comparison) -> str:
    """The model, then what the times depend on, then which lanes were cold, or that none was."""
    plain = ("device", "dtype")
    parts = [comparison.model]
    for name, value in comparison.conditions.items():
        parts.append(value if name in plain else f"{name} {value}")
    lanes = zip(lane_labels(comparison), comparison.lanes, strict=True)
    ran = [(name, lane.timeline) for name, lane in lanes if isinstance(lane, LaneResult)]
    cold = [name for name, timeline in ran if timeline.cold]
    if ran:
        parts.append(f"cold: {', '.join(cold)}" if cold else "warm")
    return " · ".join(printable(part) for part in parts)


def media_line(media: Media) -> str:
    """What was read of the upload, by what, and what a person should know of it."""
    height, width = media.frames.shape[1:3]
    said = f"{width:,} × {height:,} pixels"
    if media.kind == "video":
        frames = f"{len(media.frames)} frame{'s' * (len(media.frames) > 1)}"
        said = f"{frames} from {media.times[0]:.2f} s to {media.times[-1]:.2f} s · {said}"
    said += f" · read by {media.decoder} in {milliseconds(media.read_seconds)}"
    return printable(f"{said} · {media.note}" if media.note else said)


def table(comparison: Comparison, answer_width: int = 48) -> str:
    """The comparison as plain text, a line a lane; print `conditions_line` below it."""
    rows = lane_rows(comparison)
    wanted = {
        "method": "Method",
        "asked_ratio": "asked",
        "measured_ratio": "run",
        "averages": "processed · cached · handed on",
        "tokens": "visual tokens",
        "ttft_ms": "first token",
        "total_ms": "total",
        "speedup_ttft": "speed-up",
        "kv_mb": "KV cache",
        "iou": "IoU",
        "exact_match": "exact",
        "answer": "answer",
    }
    ran = [row for row in rows if row["failure"] is None]
    columns = [
        name for name in wanted if name == "method" or any(row["text"].get(name) for row in ran)
    ]
    lines = []
    for row in ran:
        cells = {**row["text"], "method": row["label"]}
        cells["answer"] = shorten(cells["answer"], answer_width)
        lines.append([cells.get(name) or NOTHING for name in columns])
    failed = [
        f"{row['label']} did not run: {printable(row['failure'])}" for row in rows if row["failure"]
    ]
    return "\n".join([text_table([wanted[name] for name in columns], lines), *failed])


def word_diff(reference: str, answer: str) -> list[tuple[str, bool]]:
    """The words of `answer`, each with whether it differs from the reference's."""
    words = answer.split()
    blocks = difflib.SequenceMatcher(None, reference.split(), words, autojunk=False)
    same = {
        block.b + offset for block in blocks.get_matching_blocks() for offset in range(block.size)
    }
    return [(word, index not in same) for index, word in enumerate(words)]


def printable(text: str) -> str:
    """On one line, without control characters: a terminal must not obey an answer."""
    kept = (char if unicodedata.category(char)[0] not in "CZ" else " " for char in text)
    return " ".join("".join(kept).split())


def shorten(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def squeezed(text: str, width: int) -> str:
    """Cut in the middle: titles that begin alike may differ at the end."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail].rstrip()}…{text[-tail:].lstrip(' ,')}"


def _numbers(comparison: Comparison, lane: LaneResult) -> dict[str, Any]:
    timeline, trace = lane.timeline, lane.trace
    per_layer = trace.per_layer.tolist()
    before = [trace.layout.num_placed, *per_layer]
    stages = [before[0]] + [
        now for last, now in zip(before, per_layer, strict=False) if now != last
    ]
    return {
        "asked_ratio": lane.asked_ratio,
        "measured_ratio": trace.average,
        "averages": None if lane.averages is None else asdict(lane.averages),
        "tokens_before_llm": per_layer[0],
        "stages": stages,
        "ttft_ms": 1e3 * timeline.ttft,
        "total_ms": 1e3 * timeline.total,
        "phase_ms": {name: 1e3 * timeline.seconds(name) for name in PHASES},
        "cold": timeline.cold,
        **_speedups(comparison, lane),
        "kv_mb": lane.kv_bytes / 1e6,
        "tflops": lane.tflops,
        "peak_mb": None if lane.peak_bytes is None else lane.peak_bytes / 1e6,
        "new_tokens": lane.new_tokens,
        "answer": lane.answer,
        "boxes": np.asarray(lane.boxes, dtype=float).round(6).tolist(),
        **_verdict(comparison, lane),
    }


def _speedups(comparison: Comparison, lane: LaneResult) -> dict[str, float | None]:
    vanilla = next(
        (
            other
            for other in comparison.lanes
            if isinstance(other, LaneResult) and other.method == "vanilla"
        ),
        None,
    )
    if vanilla is None or vanilla is lane or vanilla.timeline.cold or lane.timeline.cold:
        return {"speedup_ttft": None, "speedup_total": None}
    ours, theirs = lane.timeline, vanilla.timeline
    return {
        "speedup_ttft": theirs.ttft / ours.ttft if ours.ttft else None,
        "speedup_total": theirs.total / ours.total if ours.total else None,
    }


def _verdict(comparison: Comparison, lane: LaneResult) -> dict[str, Any]:
    truth = comparison.truth
    overlap = match = None
    if truth is not None and truth.box is not None:
        if len(lane.boxes):
            overlap = float(iou(np.array(truth.box), lane.boxes[:1])[0])
        elif any(isinstance(other, LaneResult) and len(other.boxes) for other in comparison.lanes):
            overlap = 0.0
    if truth is not None and truth.answer and not len(parse_boxes(truth.answer)):
        match = _normal(lane.answer) == _normal(truth.answer)
    return {"iou": overlap, "exact_match": match}


def _normal(text: str) -> str:
    return printable(text).casefold().strip(" .,;:!?\"'")


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """An empty text means that there is nothing to say."""

    def said(name: str, words: Any) -> str:
        return "" if row[name] is None else str(words(row[name]))

    return {
        "asked_ratio": said("asked_ratio", percent),
        "measured_ratio": percent(row["measured_ratio"]),
        "ratio": said("asked_ratio", lambda asked: f"{percent(asked)} asked · ")
        + f"{percent(row['measured_ratio'])} run",
        "averages": said("averages", lambda counts: " · ".join(map(figures, counts.values()))),
        "tokens": " → ".join(f"{count:,}" for count in row["stages"]),
        "ttft_ms": milliseconds(row["ttft_ms"] / 1e3) + (" (cold)" if row["cold"] else ""),
        "total_ms": milliseconds(row["total_ms"] / 1e3),
        "phase_ms": " · ".join(
            f"{name} {milliseconds(value / 1e3)}"
            for name, value in row["phase_ms"].items()
            if value
        ),
        "speedup_ttft": said("speedup_ttft", times),
        "speedup_total": said("speedup_total", times),
        "kv_mb": megabytes(1e6 * row["kv_mb"]),
        "tflops": compute(row["tflops"]),
        "peak_mb": said("peak_mb", lambda value: megabytes(1e6 * value)),
        "iou": said("iou", lambda value: f"{value:.2f}"),
        "exact_match": said("exact_match", lambda right: "yes" if right else "no"),
        "answer": printable(row["answer"]),
    }
