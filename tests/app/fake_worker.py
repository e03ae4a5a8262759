"""A worker with made-up answers, so that the page runs without a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from app.worker.events import (
    ComparisonDone,
    Event,
    LaneDone,
    LaneFailed,
    LaneStarted,
    PhaseDone,
    TextDelta,
)
from app.worker.protocol import Health, Job, Run
from models.engine.record import Comparison, LaneFailure, LaneResult
from pruning.base import CompressionMethod
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import factory

ANSWERS = {
    "vanilla": "A red ball lies on the grass near a lake.",
    "visionzip": "A red ball lies near a lake.",
    "nuwa": "A red ball lies on the grass near a house.",
}


class FakeWorker:
    """Runs every job in the same way; `failing` names methods whose lane fails."""

    def __init__(
        self,
        answer: Callable[[str], str] = lambda name: ANSWERS.get(name, "A ball."),
        failing: tuple[str, ...] = (),
        pause: float = 0.0,
        reason: str = "It fell over. Ask for a larger ratio.",
    ) -> None:
        self.answer, self.failing, self.pause = answer, failing, pause
        self.reason = reason
        self.jobs: list[Job] = []
        self.cancelled: list[threading.Event] = []

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]:
        cancelled = cancelled or threading.Event()
        self.jobs.append(job)
        self.cancelled.append(cancelled)
        for event in self._events(job):
            if cancelled.wait(self.pause):
                return
            yield event

    @contextmanager
    def admit(self, visitor: str, address: str = "", number: str = "") -> Iterator[Run]:
        yield self.run

    def preload(self) -> None:
        pass

    def health(self) -> Health:
        return Health()

    def _events(self, job: Job) -> Iterator[Event]:
        lanes = [self._lane(method, job) for method in job.methods]
        yield from (LaneStarted(index) for index in range(len(lanes)))
        for index, lane in enumerate(lanes):
            if isinstance(lane, LaneFailure):
                yield LaneFailed(index, lane)
                continue
            for phase in lane.timeline.phases[:-1]:
                yield PhaseDone(index, phase)
        ran = [(index, lane) for index, lane in enumerate(lanes) if isinstance(lane, LaneResult)]
        for position in range(max(len(lane.answer.split(" ")) for _, lane in ran)):
            for index, lane in ran:
                words = lane.answer.split(" ")
                if position < len(words):
                    yield TextDelta(index, " " * (position > 0) + words[position])
        yield from (LaneDone(index, lane) for index, lane in ran)
        yield ComparisonDone(
            Comparison(
                model=job.model,
                question=job.question,
                media=job.media,
                lanes=tuple(lanes),
                conditions={"device": "made up", "dtype": "float32", "attention": "sdpa"},
                truth=job.truth,
            )
        )

    def _lane(self, method: CompressionMethod, job: Job) -> LaneResult | LaneFailure:
        if method.name in self.failing:
            return LaneFailure(method.name, method.label, self.reason)
        frame = job.media.frames[0]
        box = np.array([[0.55, 0.36, 0.81, 0.73]], dtype=np.float32)
        lane = factory.lane(
            method.name,
            method.label,
            _clip_trace(method.name, len(job.media.frames))
            if job.media.kind == "video"
            else trace_of(method.name, frame),
            self.answer(method.name),
            asked_ratio=getattr(method, "retention_ratio", None),
            boxes=box,
        )
        study = job.study
        return replace(lane, analysis=factory.analysis(lane, study)) if study else lane


def _clip_trace(name: str, frames: int) -> TokenTrace:
    if name == "vanilla":
        return factory.vanilla_trace(TokenLayout.regular(frames, 8, 8))
    return factory.flash_trace(frames) if name == "flashvid" else factory.video_trace(frames)


def trace_of(name: str, frame: np.ndarray) -> TokenTrace:
    makers = {
        "visionzip": lambda: factory.visionzip_trace(frame),
        "nuwa": lambda: factory.nuwa_trace(frame),
        "fastv": lambda: factory.fastv_trace(frame),
        "pooling": factory.pooling_trace,
    }
    return makers.get(name, factory.vanilla_trace)()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until a condition holds, or fail."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, f"not true within {seconds} s"
        time.sleep(0.02)
