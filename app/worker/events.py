"""Events of a running job: all that a front end needs to draw a comparison live."""

from __future__ import annotations

from dataclasses import dataclass

from models.engine.record import Comparison, LaneFailure, LaneResult, Phase


@dataclass(frozen=True)
class Queued:
    """Position of a job in the queue."""

    ahead: int  # jobs before it, with those that run; 0: it runs now
    seconds: float | None = None  # estimated wait; None before the first job has ended


@dataclass(frozen=True)
class Notice:
    """A sentence for the status line: what a job waits for, or how its lanes run."""

    text: str


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


Event = (
    Queued | Notice | LaneStarted | PhaseDone | TextDelta | LaneDone | LaneFailed | ComparisonDone
)
