"""A fair queue in front of a worker: bounded, first come first served, with limits a visitor."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil

from app.settings import Settings
from app.worker.event_stream import POLL_SECONDS
from app.worker.events import Event, Queued
from app.worker.protocol import Health, Job, Run, Worker
from pruning.errors import ExplainedError

MEASURED = 16  # last jobs from which the wait is estimated


@dataclass(eq=False)
class Place:
    """A place in the queue, from before the upload is read until the job has ended."""

    visitor: str
    address: str = ""
    ready: bool = False  # the upload is read; before that, later jobs may pass
    running: bool = False


class QueuedWorker:
    """Passes `at_once` jobs to `worker`; other jobs wait in order of arrival.

    A visitor takes a place before the upload is read: a refused upload is never read, and at most
    `queue_size` waiting jobs hold frames in memory.
    """

    def __init__(self, worker: Worker, settings: Settings, at_once: int = 1) -> None:
        self.worker, self.settings, self.at_once = worker, settings, at_once
        self._places: list[Place] = []  # in order of arrival, with those that run
        self._took: deque[float] = deque(maxlen=MEASURED)  # seconds
        self._changed = threading.Condition()

    @contextmanager
    def admit(self, visitor: str, address: str = "", number: str = "") -> Iterator[Run]:
        """Raises `RefusedError` when the queue, or the visitor's share of it, is full."""
        place = Place(visitor, address)
        self._join(place)
        try:
            yield partial(self._run, place)
        finally:
            self._leave(place)

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        with self.admit(job.visitor) as run:
            yield from run(job, cancelled)

    def preload(self) -> None:
        self.worker.preload()

    def health(self) -> Health:
        return self.worker.health()

    @property
    def waiting(self) -> int:
        """Jobs that do not run yet."""
        with self._changed:
            return self._waiting()

    def _waiting(self) -> int:
        return sum(not place.running for place in self._places)

    def _run(
        self, place: Place, job: Job, cancelled: threading.Event | None = None
    ) -> Iterator[Event]:
        cancelled = cancelled or threading.Event()
        try:
            yield from self._wait(place, cancelled)
            if not cancelled.is_set():
                start = time.monotonic()
                yield from self.worker.run(job, cancelled)
                if not cancelled.is_set():  # the time of a stopped job is no estimate
                    self._took.append(time.monotonic() - start)
        finally:
            self._leave(place)  # before the page draws the results

    def _join(self, place: Place) -> None:
        with self._changed:
            if self._waiting() >= self.settings.queue_size:
                raise RefusedError(_full(len(self._places), self._estimate(len(self._places))))
            own = sum(other.visitor == place.visitor for other in self._places)
            if place.visitor and own >= self.settings.visitor_jobs:
                raise RefusedError(
                    f"You have {own} comparisons under way, which is the most for one visitor. "
                    "Stop one, or wait for it."
                )
            there = sum(other.address == place.address for other in self._places)
            most = self.settings.address_jobs
            if place.address and most and there >= most:
                raise RefusedError(
                    f"Your address or login has {there} comparisons under way, which is the most "
                    "for one. Stop one, or wait for it."
                )
            self._places.append(place)

    def _leave(self, place: Place) -> None:
        with self._changed:
            if place in self._places:
                self._places.remove(place)
                self._changed.notify_all()

    def _wait(self, place: Place, cancelled: threading.Event) -> Iterator[Queued]:
        """The position at each change, down to 0, where the job runs."""
        last, place.ready = None, True
        while not cancelled.is_set():
            with self._changed:
                queued = self._queued(place)
                if queued.ahead == last:
                    self._changed.wait(POLL_SECONDS)
                    continue
                if queued.ahead == 0:
                    place.running = True
            last = queued.ahead
            yield queued
            if not queued.ahead:
                return

    def _queued(self, place: Place) -> Queued:
        """The position of a job; it may run while fewer than `at_once` run or come before it."""
        running = sum(other.running for other in self._places)
        before = self._places[: self._places.index(place)]
        if sum(other.ready and not other.running for other in before) < self.at_once - running:
            return Queued(0)
        return Queued(len(before), self._estimate(len(before)))

    def _estimate(self, ahead: int) -> float | None:
        """Seconds until `ahead` jobs have ended, from the mean of the last jobs."""
        took = list(self._took)
        return ahead * sum(took) / len(took) / self.at_once if took else None


class RefusedError(ExplainedError):
    """The queue refuses a job; the message suggests when to try again."""


def _full(ahead: int, seconds: float | None) -> str:
    again = "in a while" if seconds is None else f"in about {max(1, ceil(seconds))} s"
    return f"The queue is full: {ahead} ahead. Try again {again}."
