"""The worker in this process: one thread owns the device and advances the lanes in turn.

Lanes are generators, and one step of one lane runs at a time, so every lane streams at once and
each lane's clock counts its own steps only.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from app.events import (
    ComparisonDone,
    Event,
    LaneDone,
    LaneFailed,
    LaneStarted,
    PhaseDone,
    TextDelta,
)
from app.settings import Settings
from app.worker.conditions import conditions
from app.worker.protocol import Job
from models import memory
from models.base import Adapter
from models.catalog import ModelCard, find
from models.loading import load
from models.media import Media, drawn
from models.pipeline import run_lane
from models.record import Comparison, LaneFailure, LaneResult, Phase
from pruning.base import CompressionMethod
from pruning.methods import METHODS

log = logging.getLogger(__name__)

Emit = Callable[[Event], None]
_END = object()


class LocalWorker:
    """Runs one job at a time on one device; further jobs wait in order."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._jobs: queue.Queue = queue.Queue()
        self._adapter: tuple[str, Adapter] | None = None
        self._warm: set[tuple] = set()
        threading.Thread(target=self._own_device, name="device", daemon=True).start()

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        """Events of one job. Closing the iterator, or setting `cancelled`, stops the job."""
        cancelled = cancelled or threading.Event()
        events: queue.Queue = queue.Queue()
        self._jobs.put((job, events, cancelled))
        try:
            while (event := _next(events, cancelled)) is not _END:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            cancelled.set()

    def preload(self) -> None:
        """Load the default model and warm every method up, so that no visitor waits for either."""
        self._jobs.put((None, None, threading.Event()))

    def _own_device(self) -> None:
        while True:
            job, events, cancelled = self._jobs.get()
            if job is None:
                with contextlib.suppress(Exception):  # the first job will say what is wrong
                    self._preload(cancelled)
                continue
            try:
                self._work(job, events.put, cancelled)
            except Exception as error:
                if not isinstance(error, ValueError):  # which says all there is in its sentence
                    log.exception("job failed")
                events.put(error.with_traceback(None))  # its frames would keep the model alive
            finally:
                events.put(_END)

    def _preload(self, cancelled: threading.Event) -> None:
        name = self.settings.model
        self._model(name)
        self._warm_up(name, blank(find(name)), [method() for method in METHODS], cancelled)

    def _warm_up(
        self,
        model: str,
        upload: Media,
        methods: Iterable[CompressionMethod],
        cancelled: threading.Event,
    ) -> None:
        """Run what has not run on the model yet: a first run pays for more than its method."""
        for method in methods:
            if (model, method.name) in self._warm:
                continue
            with contextlib.suppress(Exception):  # its lane will say what is wrong
                for _ in run_lane(self._model(model), upload, "?", method, max_new_tokens=2):
                    if cancelled.is_set():
                        return
                self._warm.add((model, method.name))

    def _model(self, name: str) -> Adapter:
        """The adapter of `name`; one model is on the device at a time."""
        if self._adapter is None or self._adapter[0] != name:
            self._adapter = None
            self._warm.clear()  # what is loaded anew is cold again
            memory.release()
            settings = self.settings
            self._adapter = (name, load(name, settings.device or None, settings.dtype or None))
        return self._adapter[1]

    def _work(self, job: Job, emit: Emit, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            return
        adapter = self._model(job.model)
        if job.media.kind == "video":
            memory.check_clip(find(job.model), adapter, len(job.media.frames), len(job.methods))
        self._warm_up(job.model, job.media, job.methods, cancelled)
        lanes = {
            lane: self._lane(adapter, job, lane) for lane in range(len(job.methods))
        }  # still running
        finished: dict[int, LaneResult | LaneFailure] = {}
        for lane in lanes:
            emit(LaneStarted(lane))
        try:
            while lanes and not cancelled.is_set():
                for lane in list(lanes):
                    if cancelled.is_set():
                        break
                    outcome = _advance(lanes[lane], lane, job, emit)
                    if outcome is not None:
                        finished[lane] = outcome
                        del lanes[lane]
        finally:
            for running in lanes.values():
                running.close()
        if not lanes:
            emit(ComparisonDone(self._comparison(adapter, job, finished)))

    def _lane(self, adapter: Adapter, job: Job, lane: int) -> Iterator[Phase | str | LaneResult]:
        method = job.methods[lane]
        return run_lane(
            adapter,
            job.media,
            job.question,
            method,
            max_new_tokens=job.max_new_tokens,
            temperature=job.temperature,
            seed=job.seed,
            cold=(job.model, method.name) not in self._warm,
        )

    @staticmethod
    def _comparison(
        adapter: Adapter, job: Job, finished: dict[int, LaneResult | LaneFailure]
    ) -> Comparison:
        return Comparison(
            model=job.model,
            question=job.question,
            media=job.media,
            lanes=tuple(finished[lane] for lane in sorted(finished)),
            conditions=conditions(adapter),
            truth=job.truth,
            options={
                "max_new_tokens": job.max_new_tokens,
                "temperature": job.temperature,
                "seed": job.seed,
            },
        )


def blank(card: ModelCard) -> Media:
    """What a model's lanes are warmed up on: a grey picture, or a clip where it takes none."""
    frames = np.full((card.frames, 96, 96, 3), 127, dtype=np.uint8)
    if "image" in card.media:
        return drawn(frames[0])
    return Media(frames, np.arange(card.frames, dtype=float), "video", "none", read_seconds=0.0)


def _next(events: queue.Queue, cancelled: threading.Event) -> Any:
    """The next event; the end once a job is cancelled, even while it waits behind another."""
    while not cancelled.is_set():
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=0.1)
    return _END


def _advance(
    running: Iterator[Phase | str | LaneResult], lane: int, job: Job, emit: Emit
) -> LaneResult | LaneFailure | None:
    """One step of one lane. A lane that raises becomes a `LaneFailure`; the others go on."""
    try:
        step = next(running)
    except Exception as error:
        method = job.methods[lane]
        if not isinstance(error, ValueError):
            log.exception("lane %s failed", method.name)
        failure = LaneFailure(method.name, method.label, reason(error))
        emit(LaneFailed(lane, failure))
        return failure
    if isinstance(step, LaneResult):
        emit(LaneDone(lane, step))
        return step
    emit(PhaseDone(lane, step) if isinstance(step, Phase) else TextDelta(lane, step))
    return None


def reason(error: Exception) -> str:
    """What a person reads in the lane's column: our own sentences as they are, others named."""
    if isinstance(error, ValueError):
        return str(error)
    if "out of memory" in str(error).lower():
        return "The device ran out of memory. Ask for fewer tokens or a smaller model."
    return f"The lane stopped on an internal error ({type(error).__name__}). The log has the rest."
