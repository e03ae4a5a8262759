"""Converts a lane to JSON and arrays, and back with every field validated."""

from __future__ import annotations

from dataclasses import asdict, fields
from enum import Enum
from typing import Any

import numpy as np

from app.reading.recordings import check
from models.engine.record import PHASES, LaneFailure, LaneResult, Phase, Timeline
from pruning.budget import Averages
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace

MOST_LAYERS = 1024
MOST_REPEATS = 1000
MOST = 2.0**53  # of a count or time: larger ones are not exact as numbers of JavaScript
MOST_TOKENS = 16_384
MOST_CELLS = 2_000_000  # tokens, over all steps: the page draws each step
MOST_WEIGHTS = 1_000_000  # of the original tokens in the survivors, over all steps
MOST_PAIRS = 8192**2  # of tokens in one frame: those without a grid are compared with each other
FARTHEST = 1000.0  # of a token's edge, in frames: a model pads a narrow picture to a square


def pack_lane(lane: LaneResult | LaneFailure, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """The lane as JSON; adds its arrays to `arrays` under names that begin with `key`."""
    if isinstance(lane, LaneFailure):
        return {"method": lane.method, "title": lane.title, "reason": lane.reason}
    layout, timeline = lane.trace.layout, lane.timeline
    arrays |= {f"{key}.boxes": lane.boxes, f"{key}.frame": layout.frame, f"{key}.box": layout.box}
    steps = []
    for index, step in enumerate(lane.trace.steps):
        at = f"{key}.step{index}"
        for name in ("anchors", "rows", "cols", "weights"):
            arrays[f"{at}.{name}"] = getattr(step, name)
        arrays |= {f"{at}.tag{i}": tag for i, tag in enumerate(step.tags.values())}
        for name in ("scores", "segments"):
            if getattr(step, name) is not None:
                arrays[f"{at}.{name}"] = getattr(step, name)
        steps.append({"layer": int(step.layer), "n": int(step.n), "tags": list(step.tags)})
    return {
        "method": lane.method,
        "title": lane.title,
        "knobs": pack(lane.knobs),
        "asked_ratio": pack(lane.asked_ratio),
        "answer": lane.answer,
        "new_tokens": int(lane.new_tokens),
        "grid": None if layout.grid is None else [int(side) for side in layout.grid],
        "num_layers": int(lane.trace.num_layers),
        "steps": steps,
        **_pack_timeline(timeline),
        "repeats": [_pack_timeline(run) for run in lane.repeats],
        "text_tokens": int(lane.text_tokens),
        "kv_bytes": int(lane.kv_bytes),
        "tflops": float(lane.tflops),
        "peak_bytes": None if lane.peak_bytes is None else int(lane.peak_bytes),
        "averages": None if lane.averages is None else asdict(lane.averages),
        "reads": None if lane.reads is None else list(lane.reads),
    }


def load_lane(
    lane: Any, key: str, arrays: dict[str, np.ndarray], num_frames: int
) -> LaneResult | LaneFailure:
    """A lane over `num_frames` frames; raises any exception for a damaged one."""
    method, title = str(lane["method"]), str(lane["title"])
    if "reason" in lane:
        return LaneFailure(method, title, str(lane["reason"]))
    repeats = lane.get("repeats", [])
    check(isinstance(repeats, list) and len(repeats) <= MOST_REPEATS, "its repeats are invalid")
    boxes = arrays[f"{key}.boxes"]
    check(_is_float(boxes) and boxes.ndim == 2 and boxes.shape[1] == 4, "boxes are not (M, 4)")
    return LaneResult(
        method=method,
        title=title,
        knobs=unpack(lane["knobs"]),
        asked_ratio=_load_ratio(lane["asked_ratio"]),
        answer=str(lane["answer"]),
        new_tokens=_load_count(lane["new_tokens"]),
        boxes=boxes,
        trace=_load_trace(lane, key, arrays, num_frames),
        timeline=_load_timeline(lane),
        text_tokens=_load_count(lane["text_tokens"]),
        kv_bytes=_load_count(lane["kv_bytes"]),
        tflops=_load_number(lane["tflops"]),
        peak_bytes=None if lane["peak_bytes"] is None else _load_count(lane["peak_bytes"]),
        averages=_load_averages(lane["averages"]),
        reads=_load_reads(lane.get("reads"), int(lane["num_layers"])),
        repeats=tuple(map(_load_timeline, repeats)),
    )


def _pack_timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "phases": [
            [p.name, float(p.seconds), int(p.tokens_in), int(p.tokens_out)] for p in timeline.phases
        ],
        "first_token": float(timeline.first_token),
        "cold": bool(timeline.cold),
    }


def _load_timeline(run: Any) -> Timeline:
    phases = tuple(
        Phase(str(name), _load_number(seconds), _load_count(tokens_in), _load_count(tokens_out))
        for name, seconds, tokens_in, tokens_out in run["phases"]
    )
    check(all(phase.name in PHASES for phase in phases), "a phase has an unknown name")
    return Timeline(phases, _load_number(run["first_token"]), bool(run["cold"]))


def _load_number(value: Any) -> float:
    number = float(value)
    check(0 <= number < MOST, f"a number is {str(value)[:20]}")  # false for NaN, too
    return number


def _load_count(value: Any) -> int:
    return int(_load_number(value))


def _load_ratio(ratio: Any) -> float | None:
    check(ratio is None or 0 < float(ratio) <= 1, "a retention ratio is not between 0 and 1")
    return None if ratio is None else float(ratio)


def _load_averages(averages: Any) -> Averages | None:
    if averages is None:
        return None
    counts = [float(averages[field.name]) for field in fields(Averages)]
    check(all(0 <= count <= MOST_TOKENS for count in counts), "its averages are invalid")
    return Averages(*counts)


def _load_reads(reads: Any, num_layers: int) -> tuple[float, ...] | None:
    if reads is None:
        return None
    counts = tuple(map(float, reads))
    check(len(counts) == num_layers, "it needs one count of rows read in decode for each layer")
    check(all(0 <= count <= MOST_TOKENS for count in counts), "its rows read in decode are invalid")
    return counts


def _load_trace(lane: Any, key: str, arrays: dict[str, np.ndarray], num_frames: int) -> TokenTrace:
    layout = _load_layout(lane["grid"], arrays[f"{key}.frame"], arrays[f"{key}.box"], num_frames)
    num_layers = int(lane["num_layers"])
    check(0 < num_layers <= MOST_LAYERS, f"{num_layers} LLM layers")
    check(len(layout) * len(lane["steps"]) <= MOST_CELLS, f"{key} has too many steps")
    own = len(np.unique(layout.frame[layout.placed]))  # with tokens: some models merge two frames
    alive, steps = len(layout), []
    for index, step in enumerate(lane["steps"]):
        steps.append(_load_step(step, f"{key}.step{index}", arrays, alive, own))
        alive = len(steps[-1].anchors)
    layers = [0, *(step.layer for step in steps), num_layers]
    check(layers == sorted(layers), f"{key} has steps at invalid layers")
    _check_weights(steps, key)
    return TokenTrace(layout, tuple(steps), num_layers)


def _load_layout(grid: Any, frame: np.ndarray, box: np.ndarray, num_frames: int) -> TokenLayout:
    check(grid is None or len(grid) == 3, "a grid is not (T, rows, cols)")
    check(frame.ndim == 1 and 0 < len(frame) <= MOST_TOKENS, f"{len(frame)} tokens")
    check(_is_float(box), "its layout is not made of numbers")
    check(_within(frame, -1, num_frames), "a token lies on a frame that is not there")
    if grid is not None:
        grid = tuple(map(int, grid))
        check(min(grid) > 0, "a grid has no cells")
    layout = TokenLayout(frame, box, grid)
    placed, tokens = box[layout.placed], frame[layout.placed]
    check(len(tokens) and (tokens >= 0).all(), "a token with a place is on no frame")
    check((np.abs(placed) <= FARTHEST).all(), "a token lies far outside its frame")
    pairs = int((np.bincount(tokens) ** 2).max())
    check(grid is not None or pairs <= MOST_PAIRS, "too many tokens without a grid")
    return layout


def _check_weights(steps: list[TraceStep], key: str) -> None:
    """The product of all steps must fit the memory; a small file can multiply to a large one."""
    own: np.ndarray | None = None  # (K,) an upper bound of the weights of each survivor
    total = 0.0
    for step in steps:
        each = np.ones(step.n) if own is None else own
        own = np.bincount(step.rows, each[step.cols], minlength=len(step.anchors))
        total += own.sum()
        check(total <= MOST_WEIGHTS, f"{key} has more than {MOST_WEIGHTS:,} weights")


def _load_step(
    step: Any, key: str, arrays: dict[str, np.ndarray], alive: int, num_frames: int
) -> TraceStep:
    """A step over `alive` tokens that lie on `num_frames` frames."""
    anchors, rows, cols = (arrays[f"{key}.{name}"] for name in ("anchors", "rows", "cols"))
    weights = arrays[f"{key}.weights"]
    scores, segments = arrays.get(f"{key}.scores"), arrays.get(f"{key}.segments")
    tags = {str(name): arrays[f"{key}.tag{i}"] for i, name in enumerate(step["tags"])}
    check(step["n"] == alive, f"{key} is over {step['n']} tokens, {alive} were alive")
    check(_within(anchors, -1, alive), f"{key} has an anchor outside its tokens")
    check(_within(rows, 0, len(anchors)), f"{key} has a row outside its survivors")
    check(_within(cols, 0, alive), f"{key} has a column outside its tokens")
    check(rows.shape == cols.shape == weights.shape, f"{key} has uneven edges")
    check((rows[1:] >= rows[:-1]).all(), f"{key} has unsorted rows")
    check(_is_float(weights) and np.isfinite(weights).all(), f"{key} has invalid weights")
    fit = (tag.shape == anchors.shape and tag.dtype == bool for tag in tags.values())
    check(all(fit), f"{key} has invalid tags")
    fits = scores is None or (scores.shape == (alive,) and _is_float(scores))
    check(fits, f"{key} has invalid scores")
    fits = segments is None or (_within(segments, 0, num_frames) and len(segments) == num_frames)
    check(fits, f"{key} has invalid segments")
    return TraceStep(
        int(step["layer"]), alive, anchors, rows, cols, weights, tags, scores, segments
    )


def pack(value: Any) -> Any:
    """Knobs and options as JSON; keeps tuples, and replaces an enum by its value."""
    if isinstance(value, Enum):
        return pack(value.value)
    if isinstance(value, np.generic):
        return pack(value.item())
    if isinstance(value, tuple):
        return {"tuple": [pack(item) for item in value]}
    if isinstance(value, list):
        return [pack(item) for item in value]
    if hasattr(value, "items"):
        return {"mapping": {str(key): pack(item) for key, item in value.items()}}
    return value


def unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict) and "tuple" in value:
        return tuple(unpack(item) for item in value["tuple"])
    if isinstance(value, dict):
        return {key: unpack(item) for key, item in value["mapping"].items()}
    return value


def _within(index: np.ndarray, low: int, high: int) -> bool:
    fits = index.ndim == 1 and index.dtype.kind in "iu"
    return fits and (not len(index) or (low <= int(index.min()) and int(index.max()) < high))


def _is_float(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"
