"""The worker in this process: one thread owns the device and advances the lanes in turn.

Lanes are generators, and one step of one lane runs at a time: all lanes stream at once, and each
lane's clock counts only its own steps.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf

import numpy as np
import torch

from app.settings import Settings
from app.worker.conditions import conditions, load_text
from app.worker.event_stream import EventStream
from app.worker.events import ComparisonDone, Event, LaneDone, LaneFailed, LaneStarted, Notice
from app.worker.lane_scheduler import Lane, Limits, advance, stepped
from app.worker.protocol import Health, Job
from models import memory
from models.catalog import ModelCard, find
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import Comparison, LaneFailure, LaneResult
from models.loading import load
from models.uploads.media import Media, drawn
from pruning.base import CompressionMethod
from pruning.errors import ExplainedError
from pruning.methods import METHODS
from pruning.methods.vanilla import Vanilla

log = logging.getLogger(__name__)

STUCK = (
    "A step on the device has taken more than {:.0f} s and was given up. "
    "Try again in some minutes, with fewer frames or a smaller model."
)


class LocalWorker:
    """Runs one job at a time on one device; other jobs wait in order."""

    def __init__(self, settings: Settings | None = None, adapter: Adapter | None = None) -> None:
        """`adapter` is the model of the settings, if it is loaded already."""
        self.settings = settings or Settings()
        self.limits = Limits(self.settings.phase_seconds, self.settings.job_seconds)
        self._jobs: queue.Queue[tuple[Job, EventStream] | None] = queue.Queue()
        self._adapter = (self.settings.model, adapter) if adapter else None  # as it is
        self._warm: set[tuple[str, str]] = set()  # models and methods that have run
        self._step: tuple[float, float] | None = None  # its start and its time limit
        threading.Thread(target=self._own_device, name="device", daemon=True).start()

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        """Events of one job. Close the iterator or set `cancelled` to stop the job."""
        stream = EventStream(cancelled or threading.Event(), failing=lambda: self.health().reason)
        self._jobs.put((job, stream))
        with stream:
            yield from stream

    def preload(self) -> None:
        """Load the default model in the background, and run it once if no job waits."""
        self._jobs.put(None)

    def health(self) -> Health:
        began, most = self._step or (inf, inf)
        stuck = time.monotonic() - began > most
        device = torch.device(self.settings.device or "cuda")
        on_cuda = device.type == "cuda" and torch.cuda.is_initialized()
        reason = STUCK.format(most) if stuck else ""
        return Health(reason, torch.cuda.memory_allocated(device) if on_cuda else 0)

    def _own_device(self) -> None:
        while True:
            task = self._jobs.get()
            if task is None:
                with contextlib.suppress(Exception):  # the first job reports it
                    self._preload()
                self._step = None
            else:
                self._run(*task)

    def _run(self, job: Job, stream: EventStream) -> None:
        try:
            self._allow(self.settings.load_seconds)  # loading may take longer than a step
            for event in self.steps(job, stream.cancelled):
                waits = isinstance(event, Notice)  # for a model, or for the first run of a method
                self._allow(self.settings.load_seconds if waits else 2 * self.limits.phase_seconds)
                stream.put(event)
        except Exception as error:
            if not isinstance(error, ExplainedError):
                log.exception("job failed", extra={"job": job.number})
            stream.end(error.with_traceback(None))  # its frames keep the model alive
        else:
            stream.end()
        finally:
            self._step = None

    def _allow(self, seconds: float) -> None:
        """Start a step; after `seconds` the worker reports itself stuck."""
        self._step = time.monotonic(), seconds

    def _preload(self) -> None:
        name = self.settings.model
        self._allow(self.settings.load_seconds)
        if warms_up(self.model(name)):
            list(self._warm_up(name, blank(find(name)), [Vanilla()], self._jobs.qsize))

    def _warm_up(
        self,
        model: str,
        upload: Media,
        methods: Iterable[CompressionMethod],
        stops: Callable[[], object],
    ) -> Iterator[Notice]:
        """Run methods that have not run on the model yet, until `stops` is true."""
        cold = [one for one in methods if (model, one.name) not in self._warm]
        for number, method in enumerate(cold, 1):
            yield Notice(f"First run of {method.label}, {number} of {len(cold)}, not measured.")
            self._allow(self.settings.load_seconds)
            with contextlib.suppress(Exception):  # its lane reports it
                lane = run_lane(self.model(model), upload, "?", method, max_new_tokens=2)
                for _ in stepped(lane):
                    if stops():
                        return
                self._warm.add((model, method.name))

    def model(self, name: str) -> Adapter:
        """The adapter of `name`; one model is on the device at a time."""
        if self._adapter is None or self._adapter[0] != name:
            self._adapter = None
            self._warm.clear()
            memory.release()
            settings = self.settings
            adapter = load(name, settings.device or None, settings.dtype or None)
            self._adapter = (name, adapter.limited(settings.max_pixels))
        return self._adapter[1]

    def steps(self, job: Job, cancelled: threading.Event) -> Iterator[Event]:
        """Run the job on the calling thread, which must own the device."""
        if cancelled.is_set():
            return
        load = load_text()  # before the lanes add theirs
        if self._adapter is None or self._adapter[0] != job.model:
            yield Notice(f"Loading {job.model}.")
        adapter = self._loaded(job)
        if warms_up(adapter):
            yield from self._warm_up(job.model, job.media, job.methods, cancelled.is_set)
        yield from (LaneStarted(index) for index in range(len(job.methods)))
        lanes = [self._lane(adapter, job, index) for index in range(len(job.methods))]
        fit = partial(memory.lanes_at_once, job.model, adapter, lanes=len(lanes))
        finished: dict[int, LaneResult | LaneFailure] = {}
        for event in advance(lanes, job, cancelled, self.limits, fit):
            if isinstance(event, LaneDone):
                finished[event.lane] = event.result
            elif isinstance(event, LaneFailed):
                finished[event.lane] = event.failure
            yield event
        if len(finished) == len(lanes):
            if not warms_up(adapter):  # now all weights have been read once
                self._warm |= {(job.model, method.name) for method in METHODS}
            where = conditions(adapter) | ({"load": load} if load else {})
            yield ComparisonDone(self._comparison(where, job, finished))

    def _loaded(self, job: Job) -> Adapter:
        """The model of a job. Raises `ExplainedError` with a sentence when it cannot be loaded."""
        try:
            return self.model(job.model)
        except ExplainedError:
            raise
        except Exception as error:
            log.exception("model not loaded", extra={"job": job.number, "model": job.model})
            raise ExplainedError(
                f"The model {job.model} could not be loaded ({type(error).__name__}). "
                f"Choose another one; the log has the rest under {job.number}."
            ) from None

    def _lane(self, adapter: Adapter, job: Job, lane: int) -> Lane:
        method = job.methods[lane]
        return run_lane(
            adapter,
            job.media,
            job.question,
            method,
            gaze=job.gaze,
            max_new_tokens=job.max_new_tokens,
            temperature=job.temperature,
            seed=job.seed,
            cold=(job.model, method.name) not in self._warm,
            study=job.study,
        )

    @staticmethod
    def _comparison(
        where: dict[str, str], job: Job, finished: dict[int, LaneResult | LaneFailure]
    ) -> Comparison:
        return Comparison(
            model=job.model,
            question=job.question,
            media=job.media,
            lanes=tuple(finished[lane] for lane in sorted(finished)),
            conditions=where,
            truth=job.truth,
            options={
                "max_new_tokens": job.max_new_tokens,
                "temperature": job.temperature,
                "seed": job.seed,
                "drawn": job.drawn,
                **({"ratios": job.ratios} if job.ratios else {}),
                **({"gaze": job.gaze} if job.gaze else {}),
            },
        )


def warms_up(adapter: Adapter) -> bool:
    """Whether a method's first run is slower than the next by a share that a person would see.

    Of a large model on a CPU it is not, and one more pass of every lane would take minutes.
    """
    return adapter.device.type != "cpu" or adapter.model.num_parameters() < memory.SMALL


def blank(card: ModelCard) -> Media:
    """The upload for warm-ups: a grey picture, or a clip for a model without pictures."""
    frames = np.full((card.frames, 96, 96, 3), 127, dtype=np.uint8)
    if "image" in card.media:
        return drawn(frames[0])
    return Media(frames, np.arange(card.frames, dtype=float), "video", "none", read_seconds=0.0)
