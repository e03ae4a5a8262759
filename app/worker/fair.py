"""A fair queue before a worker: bounded, in order, a few jobs a visitor, the position told."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from math import ceil

from app.events import Event, Queued
from app.settings import Settings
from app.worker.protocol import Health, Job, Worker
from app.worker.stream import SECONDS_BETWEEN_LOOKS

MEASURED = 16  # jobs that an estimate is made from, the last ones


class FairWorker:
    """Lets so many jobs at once through to `worker`; the others wait here, first come first."""

    def __init__(self, worker: Worker, settings: Settings, at_once: int = 1) -> None:
        self.worker, self.settings, self.at_once = worker, settings, at_once
        self._jobs: list[Job] = []  # in order of arrival, those that run among them
        self._running: set[str] = set()  # their numbers
        self._took: deque[float] = deque(maxlen=MEASURED)  # seconds
        self._changed = threading.Condition()

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        """Raises `RefusedError` at once where the queue, or the visitor's share of it, is full."""
        cancelled = cancelled or threading.Event()
        self._join(job)
        try:
            yield from self._wait(job, cancelled)
            if not cancelled.is_set():
                start = time.monotonic()
                yield from self.worker.run(job, cancelled)
                self._took.append(time.monotonic() - start)
        finally:
            self._leave(job)

    def preload(self) -> None:
        self.worker.preload()

    def health(self) -> Health:
        return self.worker.health()

    @property
    def waiting(self) -> int:
        """Jobs that do not run yet."""
        with self._changed:
            return len(self._jobs) - len(self._running)

    def _join(self, job: Job) -> None:
        with self._changed:
            waiting = len(self._jobs) - len(self._running)
            if waiting >= self.settings.queue_size:
                raise RefusedError(_full(len(self._jobs), self._estimate(len(self._jobs))))
            own = sum(other.visitor == job.visitor for other in self._jobs)
            if job.visitor and own >= self.settings.visitor_jobs:
                raise RefusedError(
                    f"You have {own} comparisons under way, which is the most for one visitor. "
                    "Stop one, or wait for it."
                )
            self._jobs.append(job)

    def _leave(self, job: Job) -> None:
        with self._changed:
            self._jobs.remove(job)
            self._running.discard(job.number)
            self._changed.notify_all()

    def _wait(self, job: Job, cancelled: threading.Event) -> Iterator[Queued]:
        """The position each time it changes, until it is the job's turn: that is position 0."""
        told = None
        while not cancelled.is_set():
            with self._changed:
                place = self._place(job)
                if place.ahead == told:
                    self._changed.wait(SECONDS_BETWEEN_LOOKS)
                    continue
                if place.ahead == 0:
                    self._running.add(job.number)
            told = place.ahead
            yield place
            if not place.ahead:
                return

    def _place(self, job: Job) -> Queued:
        """Where a job stands; it may run while fewer than `at_once` of those before it do."""
        before = self._jobs[: self._jobs.index(job)]
        free = self.at_once - len(self._running)
        if sum(other.number not in self._running for other in before) < free:
            return Queued(0)
        return Queued(len(before), self._estimate(len(before)))

    def _estimate(self, ahead: int) -> float | None:
        """Seconds that `ahead` jobs take, at the pace of the last ones."""
        took = list(self._took)
        return ahead * sum(took) / len(took) / self.at_once if took else None


class RefusedError(ValueError):
    """A job that is not let in, and when to come again."""


def _full(ahead: int, seconds: float | None) -> str:
    again = "in a while" if seconds is None else f"in about {max(1, ceil(seconds))} s"
    return f"The queue is full: {ahead} ahead. Try again {again}."
