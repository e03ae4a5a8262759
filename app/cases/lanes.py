"""One lane of one case as a row of results, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from app.cases.record import Case
from app.cases.scores import RIGHT, centre_inside, score
from app.cases.why import object_fate
from app.recording.lane_format import load_lane, pack_lane
from models.engine.record import LaneFailure, LaneResult
from pruning.base import PositionStrategy
from pruning.trace import Fate

Row = dict[str, Any]

ARRAY = pa.struct(
    [
        ("name", pa.string()),
        ("dtype", pa.string()),
        ("shape", pa.list_(pa.int32())),
        ("data", pa.binary()),
    ]
)
FIGURES = pa.schema(  # what tables, filters and charts need
    [
        ("case", pa.string()),
        ("lane", pa.string()),
        ("session", pa.int16()),  # of run.json: its conditions
        ("failure", pa.string()),  # reason; null: the lane answered
        ("answer", pa.string()),
        ("score", pa.float32()),
        ("right", pa.bool_()),
        ("iou", pa.float32()),
        ("centre", pa.bool_()),
        ("tokens", pa.int32()),
        ("kept", pa.int32()),
        ("merged", pa.int32()),
        ("dropped", pa.int32()),
        ("ratio", pa.float32()),  # measured
        ("new_tokens", pa.int32()),
        ("ttft_ms", pa.float32()),
        ("total_ms", pa.float32()),
        ("object_tokens", pa.int32()),
        ("object_kept", pa.float32()),
        ("object_merged", pa.float32()),
        ("object_dropped", pa.float32()),
        ("on_object", pa.float32()),
        ("shift", pa.float32()),
        ("reason", pa.string()),  # of `app.cases.why.REASONS`
    ]
)
DETAILS = [("record", pa.string()), ("arrays", pa.list_(ARRAY))]  # of the whole lane
SCHEMA = pa.schema([*FIGURES, *DETAILS])
UNSTORED = ".scores"  # a re-run computes them; they would be a third of the store


def row_of(
    case: Case,
    lane: str,
    result: LaneResult | LaneFailure,
    strategy: PositionStrategy | None = None,
    session: int = 0,
) -> Row:
    """A row of `SCHEMA`.

    Args:
        lane: Its name in the run, such as "visionzip@0.111".
        strategy: See `app.cases.why.object_fate`.
    """
    row: Row = {"case": case.id, "lane": lane, "session": session}
    arrays: dict[str, np.ndarray] = {}
    record = pack_lane(result, "lane", arrays)
    if isinstance(result, LaneFailure):
        row["failure"] = result.reason
    else:
        row |= judged(case, result.answer, result.boxes) | _figures(case, result, strategy)
    packed = [
        _pack_array(name, _narrow(array))
        for name, array in arrays.items()
        if not name.endswith(UNSTORED)
    ]
    return row | {"record": json.dumps(record, allow_nan=False), "arrays": packed}


def judged(case: Case, answer: str, boxes: np.ndarray) -> Row:
    """The answer and what the case's metric says of it."""
    value = score(case, answer, boxes)
    row: Row = {"answer": answer, "score": value}
    row["right"] = None if value is None else value >= RIGHT
    if case.box is not None and case.metric == "iou":
        row |= {"iou": value, "centre": centre_inside(case.box, boxes)}
    return row


def lane_of(row: Mapping[str, Any], frames: int) -> LaneResult | LaneFailure:
    """The lane of a row. Validates every field: a run may come from a stranger."""
    arrays = {
        one["name"]: np.frombuffer(one["data"], np.dtype(one["dtype"])).reshape(one["shape"])
        for one in row["arrays"] or ()
    }
    return load_lane(json.loads(row["record"]), "lane", arrays, frames)


def _figures(case: Case, result: LaneResult, strategy: PositionStrategy | None) -> Row:
    trace, timeline = result.trace, result.timeline
    placed = trace.layout.placed
    row: Row = {
        "tokens": int(placed.sum()),
        **{fate.name.lower(): int((trace.fate[placed] == fate).sum()) for fate in Fate},
        "ratio": trace.average,
        "new_tokens": result.new_tokens,
    }
    if timeline.phases:
        row |= {"ttft_ms": 1e3 * timeline.ttft, "total_ms": 1e3 * timeline.total}
    fate = object_fate(case.box, trace, strategy) if case.box is not None else None
    if fate is None:
        return row
    return row | asdict(fate) | ({"reason": fate.reason} if trace.steps else {})


def _narrow(array: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest type that holds them."""
    if array.dtype.kind != "i" or not array.size:
        return array
    least, most = (np.min_scalar_type(bound) for bound in (array.min(), array.max()))
    return array.astype(np.result_type(least, most))


def _pack_array(name: str, array: np.ndarray) -> Row:
    shape, data = list(array.shape), array.tobytes()
    return {"name": name, "dtype": array.dtype.str, "shape": shape, "data": data}
