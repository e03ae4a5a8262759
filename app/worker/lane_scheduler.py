"""Round-robin scheduler: advances the lanes of a job one step at a time, with time limits."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

import torch

from app.worker.events import Event, LaneDone, LaneFailed, Notice, PhaseDone, TextDelta
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
    lanes: Sequence[Lane],
    job: Job,
    cancelled: threading.Event,
    limits: Limits,
    fit: Callable[[int], int] | None = None,
) -> Iterator[Event]:
    """Run the lanes to their ends or until cancelled; a lane that fails does not stop the others.

    The first `job.at_once` lanes take turns; when one ends, the next begins. At the end every lane
    is closed, and the memory of failed lanes is free.

    `fit` gives the number of lanes that fit in memory, for the visual tokens that the first lane
    has read; it may refuse the job by an `ExplainedError`.
    """
    watches = [Watch(lane, limits) for lane in lanes]
    waiting, running = deque(range(len(lanes))), list[int]()
    asked = job.at_once or len(lanes)
    most = 1 if fit else asked
    try:
        while (waiting or running) and not cancelled.is_set():
            turn = [*running, *_admit(waiting, running, most)]
            for index in turn:
                if cancelled.is_set():
                    break
                event = _step(watches[index], index, job)
                if isinstance(event, LaneDone | LaneFailed):
                    running.remove(index)
                    _close(watches[index], event)
                yield event
                if fit:  # the first lane has read the upload, or failed
                    read = isinstance(event, PhaseDone)
                    most, fit = min(asked, fit(event.phase.tokens_out) if read else asked), None
                    if most < asked:
                        yield Notice(f"{most} of {len(lanes)} lanes run at once: no more fit.")
                    turn += _admit(waiting, running, most)
    finally:
        for watch in watches:
            watch.lane.close()
        if running:
            free_memory()


def _close(watch: Watch, event: LaneDone | LaneFailed) -> None:
    """Close a lane that has ended; free the memory that a failed one left."""
    watch.lane.close()
    if isinstance(event, LaneFailed):
        free_memory()


def _admit(waiting: deque[int], running: list[int], most: int) -> list[int]:
    """Move lanes from `waiting` to `running`, of which there are at most `most`; the moved ones."""
    count = min(len(waiting), most - len(running))
    moved = [waiting.popleft() for _ in range(count)]
    running += moved
    return moved


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
