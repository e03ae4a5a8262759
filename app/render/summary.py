"""A comparison as rows of figures, for the page, the text table and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from app.render.table import text_table
from app.render.text import (
    NOTHING,
    format_compute,
    format_factor,
    format_megabytes,
    format_milliseconds,
    format_number,
    format_percent,
    one_line,
    shorten,
)
from models.engine.record import PHASES, Comparison, LaneResult, Truth
from models.grounding import iou as box_iou
from models.grounding import parse_boxes
from models.uploads.media import Media


def lane_labels(comparison: Comparison) -> list[str]:
    """The title of each lane; a title that occurs again has a number: "FastV (2)"."""
    titles = [one_line(lane.title) for lane in comparison.lanes]
    labels = []
    for index, title in enumerate(titles):
        turn = titles[:index].count(title) + 1
        labels.append(f"{title} ({turn})" if turn > 1 else title)
    return labels


def finished_lanes(comparison: Comparison) -> list[tuple[str, LaneResult]]:
    """The lanes that did not fail, with their labels."""
    lanes = zip(lane_labels(comparison), comparison.lanes, strict=True)
    return [(label, lane) for label, lane in lanes if isinstance(lane, LaneResult)]


def lane_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The figures of each lane, as numbers and, under `text`, formatted.

    A failed lane has `failure` and no numbers. Times are those of the typical run. A speed-up is
    vanilla's time over the lane's; it is None if either lane was cold, because a first run also
    pays for warming up, or if `noisy`: the machine was busy, or repeated runs lie far apart. `iou`
    compares the first box of the answer with the true one; an answer without a box has 0 if another
    lane gave a box, and None otherwise. `exact_match` is None if the true answer is a box: two
    boxes that differ in a decimal may both be right.
    """
    rows: list[dict[str, Any]] = []
    for label, lane in zip(lane_labels(comparison), comparison.lanes, strict=True):
        row: dict[str, Any] = {"method": lane.method, "title": lane.title, "label": label}
        if isinstance(lane, LaneResult):
            row |= {"failure": None, **_numbers(comparison, lane)}
            row["text"] = _texts(row)
        else:
            row |= {"failure": lane.reason, "text": {}}
        rows.append(row)
    return rows


LABELS = {  # condition: its name for a reader, where that is another
    "dtype": "number format",
    "attention": "attention kernel",
    "machine": "processor",
    "weights": "weights of commit",
    "threads": "CPU threads",
    "python": "Python",
    "load": "running or waiting processes",
}


def conditions_line(comparison: Comparison) -> str:
    """The model, the conditions of measurement, and which lanes were cold."""
    named = {"model": comparison.model, **comparison.conditions}
    parts = [f"{LABELS.get(name, name)} {value}" for name, value in named.items()]
    finished = finished_lanes(comparison)
    cold = [label for label, lane in finished if lane.timeline.cold]
    if finished:
        first = "the first run of their shape" if cold[1:] else "the first run of its shape"
        parts.append(f"cold: {', '.join(cold)} ({first})" if cold else "every lane was warm")
    return " · ".join(one_line(part) for part in parts)


def media_line(media: Media) -> str:
    """The size of the upload, its decoder, and the reader's note on it."""
    height, width = media.frames.shape[1:3]
    line = f"{width:,} × {height:,} pixels"
    if media.kind == "video":
        frames = f"{len(media.frames)} frame{'s' * (len(media.frames) > 1)}"
        line = f"{frames} from {media.times[0]:.2f} s to {media.times[-1]:.2f} s · {line}"
    line += f" · read by {media.decoder} in {format_milliseconds(media.read_seconds)}"
    return one_line(f"{line} · {media.note}" if media.note else line)


NOISY = 0.2  # most distance of the quartiles of repeated runs, over their median
LOAD = re.compile(r"(?P<load>\d+(\.\d+)?) on (?P<cores>\d+) cores?")
HIT = 0.5  # least IoU of a right box
TABLE = {  # key of a row's texts: heading
    "method": "Method",
    "asked_ratio": "asked",
    "measured_ratio": "run",
    "averages": "processed · cached · handed on",
    "tokens": "visual tokens",
    "ttft_ms": "first token",
    "compress_ms": "compression",
    "total_ms": "whole answer",
    "speedup_ttft": "speed-up",
    "kv_mb": "KV cache",
    "iou": "IoU",
    "exact_match": "exact",
    "answer": "answer",
}


def table(comparison: Comparison, answer_width: int = 48) -> str:
    """The comparison as plain text, one line per lane, without the conditions."""
    rows = lane_rows(comparison)
    finished = [row for row in rows if row["failure"] is None]
    columns = [
        name for name in TABLE if name == "method" or any(row["text"].get(name) for row in finished)
    ]
    lines = []
    for row in finished:
        cells = {**row["text"], "method": row["label"]}
        cells["answer"] = shorten(cells["answer"], answer_width)
        lines.append([cells.get(name) or NOTHING for name in columns])
    failed = [
        f"{row['label']} did not run: {one_line(row['failure'])}" for row in rows if row["failure"]
    ]
    return "\n".join([text_table([TABLE[name] for name in columns], lines), *failed])


def _numbers(comparison: Comparison, lane: LaneResult) -> dict[str, Any]:
    timeline, trace = lane.typical, lane.trace
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
        "runs": len(lane.repeats) or 1,
        "ttft_ms": 1e3 * timeline.ttft,
        "ttft_quartiles_ms": lane.ttft_quartiles and [1e3 * time for time in lane.ttft_quartiles],
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
        **verdict(comparison, lane),
    }


def _speedups(comparison: Comparison, lane: LaneResult) -> dict[str, Any]:
    """Vanilla's times over the lane's, and whether they are too noisy to be given."""
    finished = finished_lanes(comparison)
    vanilla = next((other for _, other in finished if other.method == "vanilla"), None)
    unknown = {"speedup_ttft": None, "speedup_total": None, "noisy": False}
    if vanilla is None or vanilla is lane or vanilla.typical.cold or lane.typical.cold:
        return unknown
    if is_busy(comparison) or max(lane.spread or 0, vanilla.spread or 0) > NOISY:
        return unknown | {"noisy": True}
    ours, theirs = lane.typical, vanilla.typical
    return {
        "speedup_ttft": theirs.ttft / ours.ttft if ours.ttft else None,
        "speedup_total": theirs.total / ours.total if ours.total else None,
        "noisy": False,
    }


def is_busy(comparison: Comparison) -> bool:
    """Whether more processes than cores ran or waited on the machine when the lanes began."""
    load = LOAD.match(comparison.conditions.get("load", ""))
    return load is not None and float(load["load"]) > int(load["cores"])


def verdict(comparison: Comparison, lane: LaneResult) -> dict[str, Any]:
    """IoU with the true box, and whether the text is the true answer; None = not compared."""
    truth, iou, match = comparison.truth, None, None
    if truth is not None and asks_box(truth, comparison):
        iou = overlap(truth, lane)
    if truth is not None and truth.answer and not len(parse_boxes(truth.answer)):
        match = same_answer(lane.answer, truth.answer)
    return {"iou": iou, "exact_match": match}


def asks_box(truth: Truth, comparison: Comparison) -> bool:
    """Whether boxes are compared: the true answer is one, or one is known and a lane gave one."""
    if truth.box is None:
        return False
    if not truth.answer or len(parse_boxes(truth.answer)):
        return True
    return any(len(lane.boxes) for _, lane in finished_lanes(comparison))


def overlap(truth: Truth, lane: LaneResult) -> float:
    """IoU of the true box and the first box of the answer; 0 for an answer without a box."""
    return float(box_iou(np.array(truth.box), lane.boxes[:1])[0]) if len(lane.boxes) else 0.0


def same_answer(one: str, other: str) -> bool:
    """Whether two answers agree but for case, spaces and punctuation at their ends."""
    return _normalise(one) == _normalise(other)


def _normalise(answer: str) -> str:
    return one_line(answer).casefold().strip(" .,;:!?\"'")


def _ttft_text(row: Mapping[str, Any]) -> str:
    """ "41.2 ms", "41.2 ms (cold)", "41.2 ms (38.9 to 44 ms)"."""
    text = format_milliseconds(row["ttft_ms"] / 1e3)
    if row["cold"]:
        return f"{text} (cold)"
    if row["ttft_quartiles_ms"] is None:
        return text
    low, high = row["ttft_quartiles_ms"]
    return f"{text} ({format_number(low)} to {format_milliseconds(high / 1e3)})"


def _speedup_text(row: Mapping[str, Any]) -> str:
    if row["noisy"]:
        return "too noisy here"
    if row["speedup_ttft"] is None:
        return ""
    return format_factor(row["speedup_ttft"]) + (", one run" if row["runs"] == 1 else "")


def _compress_text(row: Mapping[str, Any]) -> str:
    """Empty for vanilla, which compresses nothing."""
    seconds = row["phase_ms"]["compress"] / 1e3
    return format_milliseconds(seconds) if row["method"] != "vanilla" else ""


def _ratio_text(row: Mapping[str, Any]) -> str:
    """ "11.1 % of the visual tokens"; with what was asked for, where that differs."""
    run = format_percent(row["measured_ratio"])
    asked = run if row["asked_ratio"] is None else format_percent(row["asked_ratio"])
    return f"{run} of the visual tokens" + (f" ({asked} asked for)" if asked != run else "")


def _averages_text(counts: Mapping[str, float]) -> str:
    """ "64.0"; "206 processed, 206 cached, 192 handed on" where the three differ."""
    texts = {name.replace("_", " "): _count_text(count) for name, count in counts.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{text} {name}" for name, text in texts.items())


def _count_text(count: float) -> str:
    """ "1,024", "16.5": every digit of a large count, because the count asked for has them too."""
    return f"{count:,.0f}" if count >= 100 else format_number(count)


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """The numbers of a row, formatted; an empty text stands for a number that is None."""

    def text(name: str, form: Callable[[Any], str]) -> str:
        return "" if row[name] is None else form(row[name])

    run = format_percent(row["measured_ratio"])
    return {
        "asked_ratio": text("asked_ratio", format_percent),
        "measured_ratio": run,
        "ratio": _ratio_text(row),
        "averages": text("averages", _averages_text),
        "tokens": " → ".join(f"{count:,}" for count in row["stages"]),
        "ttft_ms": _ttft_text(row),
        "compress_ms": _compress_text(row),
        "total_ms": format_milliseconds(row["total_ms"] / 1e3),
        "phase_ms": " · ".join(
            f"{name} {format_milliseconds(value / 1e3)}"
            for name, value in row["phase_ms"].items()
            if value
        ),
        "speedup_ttft": _speedup_text(row),
        "speedup_total": text("speedup_total", format_factor),
        "kv_mb": format_megabytes(1e6 * row["kv_mb"]),
        "tflops": format_compute(row["tflops"]),
        "peak_mb": text("peak_mb", lambda value: format_megabytes(1e6 * value)),
        "iou": text("iou", lambda value: f"{value:.2f}"),
        "exact_match": text("exact_match", lambda right: "yes" if right else "no"),
        "answer": one_line(row["answer"]),
    }
