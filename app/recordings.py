"""A saved comparison: record.json, arrays.npz and its frames as PNG, in one folder.

The one form for examples, saved cases, export and re-import. A folder may come from anybody, so
`load` believes nothing: no pickles, no big surprises, and every index is checked.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.render.boxes import draw_boxes
from app.render.chart import chart_png, chart_svg
from app.render.latency import latency_chart
from app.render.overlay import overlay
from app.render.palette import lane_colours
from app.render.staircase import staircase_chart
from models.record import PHASES, Comparison, LaneFailure, LaneResult, Phase, Timeline, Truth
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace, TraceStep

FORMAT, VERSION = "tokenscope-recording", 1
MOST_BYTES = 512 * 2**20  # of arrays, and of frames, unpacked
MOST_PIXELS = 50_000_000  # of one frame
MOST_FRAMES, MOST_LAYERS = 512, 1024
MOST_TOKENS = 16_384  # a trace's weights may be their square: 1 GiB


class RecordingError(ValueError):
    """The folder is not a recording that can be read; says why in one sentence."""


def save(comparison: Comparison, folder: str | Path) -> Path:
    """Write a recording; an older one in its place is replaced, any other folder is not."""
    folder = Path(folder).absolute()
    foreign = folder.exists() and not (folder / "record.json").is_file()
    if foreign and (not folder.is_dir() or any(folder.iterdir())):
        raise RecordingError(f"{folder.name} exists and is not a recording; choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        arrays: dict[str, np.ndarray] = {}
        lanes = [_pack_lane(lane, f"lane{i}", arrays) for i, lane in enumerate(comparison.lanes)]
        record = {
            "format": FORMAT,
            "version": VERSION,
            "model": comparison.model,
            "question": comparison.question,
            "frames": len(comparison.frames),
            "conditions": dict(comparison.conditions),
            "options": _pack(comparison.options),
            "truth": _pack_truth(comparison.truth),
            "lanes": lanes,
        }
        for index, frame in enumerate(comparison.frames):
            Image.fromarray(frame).save(fresh / _frame_name(index))
        np.savez_compressed(fresh / "arrays.npz", **arrays)  # type: ignore[arg-type]
        text = json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False)
        (fresh / "record.json").write_text(text + "\n", encoding="utf-8")
        fresh.chmod(0o755)
        _replace(folder, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def load(folder: str | Path) -> Comparison:
    """The comparison that was saved, equal in every value."""
    folder = Path(folder)
    try:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RecordingError(
            f"{folder.name} has no readable record.json: not a recording."
        ) from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RecordingError(f"{folder.name} is not a TokenScope recording.")
    if record.get("version") != VERSION:
        raise RecordingError(
            f"{folder.name} has version {record.get('version')}; this program reads {VERSION}."
        )
    try:
        arrays = _load_arrays(folder / "arrays.npz")
        return Comparison(
            model=str(record["model"]),
            question=str(record["question"]),
            frames=_load_frames(folder, record["frames"]),
            lanes=tuple(
                _load_lane(lane, f"lane{i}", arrays) for i, lane in enumerate(record["lanes"])
            ),
            conditions={str(key): str(value) for key, value in record["conditions"].items()},
            truth=_load_truth(record["truth"]),
            options=_unpack(record["options"]),
        )
    except RecordingError:
        raise
    except KeyError as missing:
        raise RecordingError(f"{folder.name} is damaged: {missing} is missing.") from None
    except OSError:  # its own words would name a path of this machine
        raise RecordingError(f"{folder.name} is damaged: a file of it cannot be read.") from None
    except Exception as problem:  # a border: whatever a stranger's bytes do, it is one sentence
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise RecordingError(f"{folder.name} is damaged: {reason[:160]}.") from None


def pictures(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Draw a comparison into a folder: overlay and boxes a lane, and both charts."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    truth = comparison.truth.box if comparison.truth else None
    colours = lane_colours([lane.method for lane in comparison.lanes])
    names = _file_names(lane.method for lane in comparison.lanes)
    for lane, colour, name in zip(comparison.lanes, colours, names, strict=True):
        if isinstance(lane, LaneFailure):
            continue
        drawn = {
            "overlay": _sheet(comparison.frames, lane.trace),
            "boxes": draw_boxes(
                comparison.frames[0], lane.boxes, truth, colour, layout=lane.trace.layout
            ),
        }
        for kind, picture in drawn.items():
            written.append(folder / f"{kind}_{name}.png")
            picture.save(written[-1])
    for kind, draw in (("latency", latency_chart), ("staircase", staircase_chart)):
        chart = draw(comparison)
        written += [folder / f"{kind}.png", folder / f"{kind}.svg"]
        chart_png(chart, written[-2])
        chart_svg(chart, written[-1])
    return written


def _sheet(frames: np.ndarray, trace: TokenTrace) -> Image.Image:
    """One overlay, or those of all frames on a sheet, in reading order."""
    if len(frames) == 1:
        return overlay(frames[0], trace)
    columns = min(4, math.ceil(math.sqrt(len(frames))))
    tiles = [overlay(frame, trace, index, size=480) for index, frame in enumerate(frames)]
    width, height = tiles[0].width + 6, tiles[0].height + 6
    sheet = Image.new("RGB", (columns * width - 6, math.ceil(len(tiles) / columns) * height - 6))
    sheet.paste((255, 255, 255), (0, 0, *sheet.size))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % columns * width, index // columns * height))
    return sheet


def _file_names(methods: Iterable[str]) -> list[str]:
    """Safe in a path, and no two alike: "fastv", "fastv_2"."""
    names: list[str] = []
    for method in methods:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", method).strip("_")[:40] or "lane"
        name, turn = stem, 1
        while name in names:
            turn += 1
            name = f"{stem}_{turn}"
        names.append(name)
    return names


def _replace(folder: Path, fresh: Path) -> None:
    """Put `fresh` where `folder` is: at no moment is there half a recording."""
    old = None
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        os.replace(folder, old / "was")
    try:
        os.replace(fresh, folder)
    except OSError:
        if old is not None:
            os.replace(old / "was", folder)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _frame_name(index: int) -> str:
    return f"frame_{index:03d}.png"


def _pack_lane(lane: LaneResult | LaneFailure, key: str, arrays: dict[str, np.ndarray]) -> Any:
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
        if step.scores is not None:
            arrays[f"{at}.scores"] = step.scores
        steps.append({"layer": int(step.layer), "n": int(step.n), "tags": list(step.tags)})
    return {
        "method": lane.method,
        "title": lane.title,
        "knobs": _pack(lane.knobs),
        "asked_ratio": _pack(lane.asked_ratio),
        "answer": lane.answer,
        "new_tokens": int(lane.new_tokens),
        "grid": None if layout.grid is None else [int(side) for side in layout.grid],
        "num_layers": int(lane.trace.num_layers),
        "steps": steps,
        "phases": [
            [p.name, float(p.seconds), int(p.tokens_in), int(p.tokens_out)] for p in timeline.phases
        ],
        "first_token": float(timeline.first_token),
        "cold": bool(timeline.cold),
        "text_tokens": int(lane.text_tokens),
        "kv_bytes": int(lane.kv_bytes),
        "tflops": float(lane.tflops),
        "peak_bytes": None if lane.peak_bytes is None else int(lane.peak_bytes),
    }


def _load_lane(lane: Any, key: str, arrays: dict[str, np.ndarray]) -> LaneResult | LaneFailure:
    method, title = str(lane["method"]), str(lane["title"])
    if "reason" in lane:
        return LaneFailure(method, title, str(lane["reason"]))
    phases = tuple(
        Phase(str(name), float(seconds), int(tokens_in), int(tokens_out))
        for name, seconds, tokens_in, tokens_out in lane["phases"]
    )
    _check(all(phase.name in PHASES for phase in phases), "a phase has an unknown name")
    boxes = arrays[f"{key}.boxes"]
    _check(_is_float(boxes) and boxes.ndim == 2 and boxes.shape[1] == 4, "boxes are not (M, 4)")
    return LaneResult(
        method=method,
        title=title,
        knobs=_unpack(lane["knobs"]),
        asked_ratio=None if lane["asked_ratio"] is None else float(lane["asked_ratio"]),
        answer=str(lane["answer"]),
        new_tokens=int(lane["new_tokens"]),
        boxes=boxes,
        trace=_load_trace(lane, key, arrays),
        timeline=Timeline(phases, float(lane["first_token"]), bool(lane["cold"])),
        text_tokens=int(lane["text_tokens"]),
        kv_bytes=int(lane["kv_bytes"]),
        tflops=float(lane["tflops"]),
        peak_bytes=None if lane["peak_bytes"] is None else int(lane["peak_bytes"]),
    )


def _load_trace(lane: Any, key: str, arrays: dict[str, np.ndarray]) -> TokenTrace:
    frame, box = arrays[f"{key}.frame"], arrays[f"{key}.box"]
    grid = lane["grid"]
    _check(grid is None or len(grid) == 3, "a grid is not (T, rows, cols)")
    _check(frame.ndim == 1 and len(frame) <= MOST_TOKENS, "too many tokens")
    _check(frame.dtype.kind in "iu" and _is_float(box), "its layout is not made of numbers")
    layout = TokenLayout(frame, box, None if grid is None else (grid[0], grid[1], grid[2]))
    alive, steps = len(layout), []
    for index, step in enumerate(lane["steps"]):
        at = f"{key}.step{index}"
        anchors, rows, cols = (arrays[f"{at}.{name}"] for name in ("anchors", "rows", "cols"))
        weights, scores = arrays[f"{at}.weights"], arrays.get(f"{at}.scores")
        tags = {str(name): arrays[f"{at}.tag{i}"] for i, name in enumerate(step["tags"])}
        _check(step["n"] == alive, f"step {index} is over {step['n']} tokens, {alive} were alive")
        _check(_within(anchors, -1, alive), f"step {index} has an anchor outside its tokens")
        _check(_within(rows, 0, len(anchors)), f"step {index} has a row outside its survivors")
        _check(_within(cols, 0, alive), f"step {index} has a column outside its tokens")
        _check(rows.shape == cols.shape == weights.shape, f"step {index} has uneven edges")
        _check(_is_float(weights), f"step {index} has odd weights")
        fit = (tag.shape == anchors.shape and tag.dtype == bool for tag in tags.values())
        _check(all(fit), f"step {index}: odd tags")
        fits = scores is None or (scores.shape == (alive,) and _is_float(scores))
        _check(fits, f"step {index} has odd scores")
        steps.append(
            TraceStep(int(step["layer"]), alive, anchors, rows, cols, weights, tags, scores)
        )
        alive = len(anchors)
    num_layers = int(lane["num_layers"])
    _check(0 < num_layers <= MOST_LAYERS, f"{num_layers} LLM layers")
    return TokenTrace(layout, tuple(steps), num_layers)


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as packed:
        size = sum(item.file_size for item in packed.infolist())
        _check(size <= MOST_BYTES, f"its arrays would take {size / 2**20:,.0f} MiB")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _load_frames(folder: Path, count: Any) -> np.ndarray:
    _check(isinstance(count, int) and 0 < count <= MOST_FRAMES, f"{count} frames")
    frames = []
    for index in range(count):
        with Image.open(folder / _frame_name(index), formats=("PNG",)) as picture:
            pixels = picture.width * picture.height
            _check(pixels <= MOST_PIXELS, "a frame is too large")
            _check(3 * pixels * count <= MOST_BYTES, "its frames are too large together")
            frames.append(np.array(picture.convert("RGB")))
        _check(frames[-1].shape == frames[0].shape, "frames differ in size")
    return np.stack(frames)


def _pack_truth(truth: Truth | None) -> Any:
    if truth is None:
        return None
    box = None if truth.box is None else [float(edge) for edge in truth.box]
    return {"answer": truth.answer, "box": box}


def _load_truth(truth: Any) -> Truth | None:
    if truth is None:
        return None
    box = truth["box"]
    if box is None:
        return Truth(str(truth["answer"]))
    left, top, right, bottom = map(float, box)
    return Truth(str(truth["answer"]), (left, top, right, bottom))


def _pack(value: Any) -> Any:
    """Knobs and options as JSON; a tuple stays a tuple, an enum becomes its value."""
    if isinstance(value, Enum):
        return _pack(value.value)
    if isinstance(value, np.generic):
        return _pack(value.item())
    if isinstance(value, tuple):
        return {"tuple": [_pack(item) for item in value]}
    if isinstance(value, list):
        return [_pack(item) for item in value]
    if hasattr(value, "items"):
        return {"mapping": {str(key): _pack(item) for key, item in value.items()}}
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if isinstance(value, dict) and "tuple" in value:
        return tuple(_unpack(item) for item in value["tuple"])
    if isinstance(value, dict):
        return {key: _unpack(item) for key, item in value["mapping"].items()}
    return value


def _within(index: np.ndarray, low: int, high: int) -> bool:
    fits = index.ndim == 1 and index.dtype.kind in "iu"
    return fits and (not len(index) or (low <= int(index.min()) and int(index.max()) < high))


def _is_float(values: np.ndarray) -> bool:
    return values.dtype.kind == "f"


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise ValueError(complaint)
