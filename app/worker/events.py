"""What a worker says while it works. A front end needs nothing else to draw a comparison live."""

from __future__ import annotations

from dataclasses import dataclass

from models.engine.record import Comparison, LaneFailure, LaneResult, Phase


@dataclass(frozen=True)
class Queued:
    """Where a job stands in the queue."""

    ahead: int  # jobs that come first, those that run among them; 0: it runs now
    seconds: float | None = None  # until it runs, from how long the last jobs took, once known


@dataclass(frozen=True)
class LaneStarted:
    lane: int


@dataclass(frozen=True)
class PhaseDone:
    lane: int
    phase: Phase


@dataclass(frozen=True)
class TextDelta:
    lane: int
    text: str


@dataclass(frozen=True)
class LaneDone:
    lane: int
    result: LaneResult


@dataclass(frozen=True)
class LaneFailed:
    lane: int
    failure: LaneFailure


@dataclass(frozen=True)
class ComparisonDone:
    comparison: Comparison


Event = Queued | LaneStarted | PhaseDone | TextDelta | LaneDone | LaneFailed | ComparisonDone
