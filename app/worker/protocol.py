"""The interface between a front end and a worker on any machine."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from app.worker.events import Event
from models.engine.checks import Gaze
from models.engine.record import Truth
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.errors import ExplainedError

if TYPE_CHECKING:  # the page starts without transformers, which an analysis imports
    from models.analysis.study import Study


def new_number() -> str:
    """Number of a job; the log has it from the arrival of the request."""
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, eq=False)
class Job:
    """One question about one upload for several methods; already validated."""

    model: str
    media: Media
    question: str
    methods: tuple[CompressionMethod, ...]  # vanilla first
    max_new_tokens: int = 64
    temperature: float = 0.0  # 0 is greedy
    seed: int = 0
    truth: Truth | None = None
    study: Study | None = None  # of every finished lane
    drawn: bool = False  # the upload is a scene or clip that this project has drawn
    at_once: int = 0  # lanes that take turns on the device; 0: all of them
    ratios: tuple[float, ...] = ()  # of a sweep: vanilla's lane, then each method at each of them
    gaze: Gaze = ()  # where the asker looks
    visitor: str = ""  # session, for the limits of the queue; empty: this program itself
    number: str = field(default_factory=new_number)  # in the log


@dataclass(frozen=True)
class Health:
    """Whether a worker takes jobs, and why not."""

    reason: str = ""  # empty: it takes jobs
    device_bytes: int = 0  # device memory in use; 0 on a CPU

    @property
    def fit(self) -> bool:
        return not self.reason


class BusyError(ExplainedError):
    """The worker was lost or is full; the same job may run later."""


class Worker(Protocol):
    """Runs jobs in order of arrival.

    The last event of a job that was not cancelled is `ComparisonDone`. A worker with a queue sends
    `Queued` events first, one for each change of position. To cancel a job, set `cancelled` or
    close the iterator: the device is free within one step. `run` raises `ExplainedError` when a job
    cannot run or finish.
    """

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]: ...

    def preload(self) -> None:
        """Start loading the model in the background."""

    def health(self) -> Health: ...


Run = Callable[[Job, threading.Event], Iterator[Event]]  # the type of `Worker.run`


class AdmittingWorker(Worker, Protocol):
    """A worker with a queue that a visitor enters before the upload is read."""

    def admit(
        self, visitor: str, address: str = "", number: str = ""
    ) -> AbstractContextManager[Run]:
        """Context manager of one place in the queue; gives the function that runs the job there.

        Args:
            visitor: Session of the tab or program; the sender chooses it.
            address: Its login or network; empty: this program itself, without a limit.
            number: Number of the future job.

        Raises:
            ExplainedError: The queue, or the visitor's share of it, is full.
        """
