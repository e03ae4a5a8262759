"""The lanes of one job, advanced in turn, one step at a time, each within its limits."""

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

log = logging.getLogger(__name__)

Lane = Iterator[Phase | str | LaneResult]


@dataclass(frozen=True)
class Limits:
    """How long a job, and one phase of one of its lanes, may take."""

    phase_seconds: float = inf
    job_seconds: float = inf


def advance(
    lanes: Sequence[Lane], job: Job, cancelled: threading.Event, limits: Limits
) -> Iterator[Event]:
    """Run the lanes to their ends, or until cancelled; lanes that fail leave the others be.

    Whichever way it ends, no lane is under way any more and what the failed ones held is free.
    """
    watches = [Watch(lane, limits) for lane in lanes]
    running = dict(enumerate(watches))
    try:
        while running and not cancelled.is_set():
            for index in list(running):
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
    """A lane and the time it has taken, by the clock on the wall."""

    def __init__(self, lane: Lane, limits: Limits) -> None:
        self.lane, self.limits = lane, limits
        self.start = time.monotonic()
        self.phase, self.spent = 0, 0.0  # which of PHASES it is in, and seconds in it

    def next(self) -> Phase | str | LaneResult:
        """One step. Raises `OverTimeError` where it, or the job by now, took too long."""
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


class OverTimeError(ValueError):
    """What took too long, and how long it might have taken."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The {what} took more than the {seconds:g} s that are allowed. "
            "Ask for fewer tokens, frames or lanes."
        )


def stepped(lane: Lane) -> Iterator[Phase | str | LaneResult]:
    """A lane that takes no step while a model is being loaded."""
    while True:
        with TURNS.step():
            if (step := next(lane, None)) is None:
                return
        yield step


def _step(watch: Watch, index: int, job: Job) -> Event:
    """One step of one lane; a lane that raises becomes a `LaneFailure`."""
    try:
        step = watch.next()
    except Exception as error:
        method = job.methods[index]
        if not isinstance(error, ValueError):
            log.exception("lane failed", extra={"job": job.number, "method": method.name})
        return LaneFailed(index, LaneFailure(method.name, method.label, reason(error, job.number)))
    if isinstance(step, LaneResult):
        return LaneDone(index, step)
    return PhaseDone(index, step) if isinstance(step, Phase) else TextDelta(index, step)


def reason(error: Exception, number: str) -> str:
    """What a person reads in the lane's column: our own sentences as they are, others named."""
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "The device ran out of memory. Ask for fewer tokens or a smaller model."
    name = type(error).__name__
    return f"The lane stopped on an internal error ({name}). The log has the rest under {number}."


def free_memory() -> None:
    """Give back device memory that a lane left: tensors in cycles, then the allocator's store."""
    if torch.cuda.is_available():  # to collect holds every thread up: not where nothing is won
        gc.collect()
        torch.cuda.empty_cache()
