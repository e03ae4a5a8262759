"""Distributes the lanes of a job over several workers, which run them in parallel."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.worker.event_stream import EventStream
from app.worker.events import ComparisonDone, Event, Notice, Queued
from app.worker.protocol import Health, Job, Worker
from models.engine.record import Comparison, LaneFailure, LaneResult


class ParallelWorker:
    """Lane i runs on worker i modulo their number; each worker owns a device."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        count = min(len(self.workers), len(job.methods))
        stream = EventStream(cancelled or threading.Event(), producers=count)
        parts = [Part(job, range(first, len(job.methods), count)) for first in range(count)]
        threads = [
            threading.Thread(target=part.run, args=(worker, stream), daemon=True)
            for part, worker in zip(parts, self.workers, strict=False)
        ]
        for thread in threads:
            thread.start()
        with stream:
            yield from stream
        if all(part.comparison for part in parts):
            yield ComparisonDone(merge(parts))

    def preload(self) -> None:
        for worker in self.workers:
            worker.preload()

    def health(self) -> Health:
        each = [worker.health() for worker in set(self.workers)]
        reasons = dict.fromkeys(health.reason for health in each if not health.fit)
        return Health(" ".join(reasons), sum(health.device_bytes for health in each))


class Part:
    """The lanes of a job that one worker runs."""

    def __init__(self, job: Job, lanes: range) -> None:
        self.job = replace(job, methods=tuple(job.methods[lane] for lane in lanes))
        self.lanes = lanes
        self.comparison: Comparison | None = None

    def run(self, worker: Worker, stream: EventStream) -> None:
        """Pass the worker's events on, with the lanes numbered as in the whole job."""
        try:
            for event in worker.run(self.job, stream.cancelled):
                if isinstance(event, ComparisonDone):
                    self.comparison = event.comparison
                elif isinstance(event, Notice):
                    stream.put(event)
                elif not isinstance(event, Queued):
                    stream.put(replace(event, lane=self.lanes[event.lane]))
        except Exception as error:
            stream.end(error)
        else:
            stream.end()


def merge(parts: Sequence[Part]) -> Comparison:
    """One comparison with all lanes in their order."""
    lanes: dict[int, LaneResult | LaneFailure] = {}
    for part in parts:
        lanes |= zip(part.lanes, part.comparison.lanes, strict=True)
    return replace(parts[0].comparison, lanes=tuple(lanes[lane] for lane in sorted(lanes)))
