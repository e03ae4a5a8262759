"""Round-robin scheduler: advances the lanes of a job one step at a time, with time limits."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import torch

from app.worker.events import Event, LaneDone, LaneFailed, PhaseDone, TextDelta
from app.worker.protocol import Job
from models.engine.record import PHASES, LaneFailure, LaneResult, Phase
from models.engine.turns import TURNS
from pruning.errors import ExplainedError

log = logging.getLogger(__name__)

Lane = Iterator[Phase | str | LaneResult]


@dataclass(frozen=True)
class Limits:
    """Time limits of a job and of one phase of a lane."""

    phase_seconds: float = inf
    job_seconds: float = inf


def advance(
    lanes: Sequence[Lane], job: Job, cancelled: threading.Event, limits: Limits
) -> Iterator[Event]:
    """Run the lanes to their ends or until cancelled; a lane that fails does not stop the others.

    The first `job.at_once` lanes take turns; when one ends, the next begins. At the end every lane
    is closed, and the memory of failed lanes is free.
    """
    watches = [Watch(lane, limits) for lane in lanes]
    running = dict(enumerate(watches))
    try:
        while running and not cancelled.is_set():
            for index in list(running)[: job.at_once or None]:
                if cancelled.is_set():
                    break
                event = _step(watches[index], index, job)
                if isinstance(event, LaneDone | LaneFailed):
                    running.pop(index).lane.close()
                if isinstance(event, LaneFailed):
                    free_memory()
                yield event
    finally:
        for watch in running.values():
            watch.lane.close()
        if running:
            free_memory()


class Watch:
    """A lane and its wall-clock time."""

    def __init__(self, lane: Lane, limits: Limits) -> None:
        self.lane, self.limits = lane, limits
        self.start = time.monotonic()
        self.phase, self.spent = 0, 0.0  # index into PHASES, and seconds in that phase

    def next(self) -> Phase | str | LaneResult:
        """Take one step. Raises `OverTimeError` when the phase or the job took too long."""
        with TURNS.step():
            begun = time.monotonic()
            step = next(self.lane)
        now = time.monotonic()
        self.spent += now - begun
        if isinstance(step, LaneResult):
            return step
        if self.spent > self.limits.phase_seconds:
            raise OverTimeError(PHASES[self.phase], self.limits.phase_seconds)
        if now - self.start > self.limits.job_seconds:
            raise OverTimeError("comparison", self.limits.job_seconds)
        if isinstance(step, Phase):
            self.phase, self.spent = self.phase + 1, 0.0
        return step


class OverTimeError(ExplainedError):
    """A phase or comparison took longer than its limit."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The {what} took more than the {seconds:g} s that are allowed. "
            "Ask for fewer tokens, frames or lanes."
        )


def stepped(lane: Lane) -> Iterator[Phase | str | LaneResult]:
    """The lane, paused while a model is being loaded."""
    while True:
        with TURNS.step():
            if (step := next(lane, None)) is None:
                return
        yield step


def _step(watch: Watch, index: int, job: Job) -> Event:
    """Take one step of a lane; an exception becomes a `LaneFailure`."""
    try:
        step = watch.next()
    except Exception as error:
        method = job.methods[index]
        if not isinstance(error, ExplainedError):
            log.exception("lane failed", extra={"job": job.number, "method": method.name})
        return LaneFailed(
            index, LaneFailure(method.name, method.label, describe_failure(error, job.number))
        )
    if isinstance(step, LaneResult):
        return LaneDone(index, step)
    return PhaseDone(index, step) if isinstance(step, Phase) else TextDelta(index, step)


def describe_failure(error: Exception, number: str) -> str:
    """The sentence in the lane's column: an `ExplainedError` in full, other errors by type."""
    if isinstance(error, ExplainedError):
        return str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "The device ran out of memory. Ask for fewer tokens or a smaller model."
    name = type(error).__name__
    return f"The lane stopped on an internal error ({name}). The log has the rest under {number}."


def free_memory() -> None:
    """Free device memory that a lane left: tensors in reference cycles, then the cache."""
    if torch.cuda.is_available():  # collecting stops all threads; on a CPU it gains nothing
        gc.collect()
        torch.cuda.empty_cache()
