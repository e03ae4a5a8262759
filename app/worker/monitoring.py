"""Counts and logs every job of a worker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from app.worker.events import ComparisonDone, Event, Queued
from app.worker.job_queue import QueuedWorker, RefusedError
from app.worker.metrics import Metrics
from app.worker.protocol import Health, Job, Run
from pruning.methods import METHODS

log = logging.getLogger(__name__)
KNOWN = {method.name for method in METHODS}


class MonitoredWorker:
    """Passes jobs to `worker`, updates the metrics and logs each job by its number."""

    def __init__(self, worker: QueuedWorker, metrics: Metrics) -> None:
        self.worker, self.metrics = worker, metrics
        metrics.watch(worker, lambda: worker.waiting)

    @contextmanager
    def admit(self, visitor: str, address: str = "", number: str = "") -> Iterator[Run]:
        try:
            with self.worker.admit(visitor, address, number) as run:
                yield partial(self._run, run)
        except RefusedError:
            self.metrics.jobs.labels("refused").inc()
            log.info("job refused", extra={"job": number})
            raise

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        with self.admit(job.visitor, number=job.number) as run:
            yield from run(job, cancelled)

    def _run(self, run: Run, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        start, outcome, event = time.monotonic(), "stopped", None
        _log("job came", job, model=job.model, frames=len(job.media.frames), lanes=_names(job))
        try:
            for event in run(job, cancelled):
                self.metrics.take(event, _names(job))
                if event == Queued(0):
                    self.metrics.waits.observe(time.monotonic() - start)
                yield event
            outcome = "done" if isinstance(event, ComparisonDone) else "stopped"
        except Exception:
            outcome = "failed"
            raise
        finally:
            self.metrics.jobs.labels(outcome).inc()
            _log("job ended", job, outcome=outcome, seconds=round(time.monotonic() - start, 3))

    def preload(self) -> None:
        self.worker.preload()

    def health(self) -> Health:
        return self.worker.health()


def _names(job: Job) -> list[str]:
    """Methods of the lanes; all composed ones share a label, so the number of labels is limited."""
    return [method.name if method.name in KNOWN else "composed" for method in job.methods]


def _log(message: str, job: Job, **extra: object) -> None:
    log.info(message, extra={"job": job.number, **extra})
