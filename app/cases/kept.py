"""Comparisons that a person keeps: a folder of recordings, which opens like a run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.cases.lanes import FIGURES, Row, row_of
from app.cases.record import Case, case_id
from app.cases.scores import metric_for
from app.cases.store import Run, RunError
from app.recording import storage
from app.settings import Settings
from models.catalog import find
from models.engine.record import Comparison, LaneFailure, LaneResult
from models.uploads.media import Media
from pruning.base import PositionStrategy
from pruning.methods import create

KEPT = "kept"  # name of a visitor's own set
RECORD = "record.json"
UNWRITTEN = (
    "The comparison could not be kept: the disk may be full. What was kept before is still there."
)


@dataclass(frozen=True)
class Recorded:
    """One recording as a case, without its arrays."""

    case: Case
    rows: tuple[Row, ...]
    lanes: tuple[dict[str, Any], ...]
    model: str
    options: dict[str, Any]


def keep(comparison: Comparison, folder: Path) -> str:
    """Save a comparison into a folder of recordings; the id of its case.

    The same answers of the same lanes are kept once. Raises `RunError` where it cannot be saved.
    """
    name = _id(comparison)
    if not (folder / name / RECORD).exists():
        try:
            storage.save(comparison, folder / name)
        except OSError:
            raise RunError(UNWRITTEN) from None
    return name


def is_kept(folder: Path) -> bool:
    """Whether a folder holds recordings."""
    return any(_records(folder))


def _records(folder: Path) -> Iterator[Path]:
    """Of each recording; a folder with a dot is one that is being written, or was cut off."""
    found = folder.glob(f"*/{RECORD}")
    return (path for path in found if not path.parent.name.startswith("."))


class Kept(Run):
    """A folder of recordings, open for reading like a run.

    `about["bad"]` gives the reason for each damaged recording; a damaged frame is found when its
    case is opened. Models and options may differ from case to case: see `asked_with`.
    """

    def __init__(self, folder: str | Path, settings: Settings | None = None) -> None:
        self.folder, self.settings = Path(folder), settings or Settings()
        bad: list[tuple[str, str]] = []
        self._recorded = {one.case.id: one for one in _recordings(self.folder, bad)}
        recorded = self._recorded.values()
        self.cases = {one.case.id: one.case for one in recorded}
        lanes = {lane["name"]: lane for one in recorded for lane in one.lanes}
        models = sorted({one.model for one in recorded})
        self.about = {
            "model": ", ".join(models),
            "source": "a folder of recordings",
            "lanes": sorted(lanes.values(), key=lambda lane: lane["name"] != "vanilla"),
            "imported": [],
            "options": {},
            "bad": bad,
        }
        rows = [{key: row.get(key) for key in FIGURES.names} for o in recorded for row in o.rows]
        self.results = pa.Table.from_pylist(rows, FIGURES).to_pandas()

    def asked_with(self, case_id: str) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        one = self._recorded[case_id]
        return one.model, list(one.lanes), one.options

    def media(self, case: Case) -> Media:
        return self._load(case.id).media

    def rows(self, case_id: str) -> list[Row]:
        return list(self._recorded[case_id].rows)

    def open(self, case_id: str) -> tuple[list[str], Comparison]:
        comparison = self._load(case_id)
        return lane_names(comparison), comparison

    def _load(self, case_id: str) -> Comparison:
        return storage.load(self.folder / self.cases[case_id].id)


def lane_names(comparison: Comparison) -> list[str]:
    """A name for each lane, as a run has them: "nuwa@0.111"."""
    names: list[str] = []
    for lane in comparison.lanes:
        ratio = getattr(lane, "asked_ratio", None)
        name = lane.method if lane.method == "vanilla" else f"{lane.method}@{ratio or 1:g}"
        names.append(name if name not in names else f"{name} {lane.title}")
    return names


def _recordings(folder: Path, bad: list[tuple[str, str]]) -> Iterator[Recorded]:
    """All that can be read, the oldest first."""
    found = []
    for path in _records(folder):
        with suppress(OSError):  # deleted meanwhile
            found.append((path.stat().st_mtime_ns, path.parent))
    for changed, path in sorted(found):
        try:
            yield _read(path, changed)
        except ValueError as error:
            bad.append((path.name, str(error)))


@lru_cache(maxsize=10_000)
def _read(folder: Path, changed: int) -> Recorded:
    """A recording that last changed at that time, in nanoseconds."""
    comparison = storage.load(folder, decode=False)
    truth, box = comparison.truth, comparison.truth.box if comparison.truth else None
    answers = (truth.answer,) if truth and truth.answer else ()
    seconds = time.gmtime(changed / 1e9)
    date = comparison.conditions.get("recorded") or time.strftime("%Y-%m-%d", seconds)
    case = Case(
        id=folder.name,
        picture=f"{folder.name}/frame_000.png",
        question=comparison.question,
        answers=answers,
        box=box,
        metric=metric_for(answers, box is not None, False),
        place=f"{comparison.model}, {date}",
    )
    names = lane_names(comparison)
    rows = []
    for name, lane in zip(names, comparison.lanes, strict=True):
        row = row_of(case, name, lane, _strategy(comparison.model, lane))
        rows.append({key: row.get(key) for key in FIGURES.names})
    lanes = [
        {"name": name, "title": lane.title, "knobs": dict(getattr(lane, "knobs", {}))}
        for name, lane in zip(names, comparison.lanes, strict=True)
    ]
    options = dict(comparison.options)
    return Recorded(case, tuple(rows), tuple(lanes), comparison.model, options)


def _strategy(model: str, lane: LaneResult | LaneFailure) -> PositionStrategy | None:
    """How the survivors before the LLM are numbered, where model and method are known here."""
    if isinstance(lane, LaneFailure):
        return None
    try:
        method = create(lane.method, **lane.knobs)
        return method.positions.before if find(model).axes == 1 else None
    except (ValueError, TypeError):  # of another version, or of other settings
        return None


def _id(comparison: Comparison) -> str:
    """Of picture, question and model, and of the lanes and their answers."""
    answers = [
        (name, getattr(lane, "answer", ""))
        for name, lane in zip(lane_names(comparison), comparison.lanes, strict=True)
    ]
    content = f"{comparison.media.digest} {comparison.model} {answers}"
    return case_id(hashlib.sha256(content.encode()).hexdigest(), comparison.question)
