"""What a front end may ask of a worker, whichever machine it runs on."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from app.worker.events import Event
from models.engine.record import Truth
from models.uploads.media import Media
from pruning.base import CompressionMethod


def new_number() -> str:
    """A number for what somebody asks, from the moment it comes."""
    return uuid.uuid4().hex[:12]


@dataclass(frozen=True, eq=False)
class Job:
    """One question about one upload, to be answered by every method; valid by construction."""

    model: str
    media: Media
    question: str
    methods: tuple[CompressionMethod, ...]  # vanilla first
    max_new_tokens: int = 64
    temperature: float = 0.0  # 0 is greedy
    seed: int = 0
    truth: Truth | None = None
    visitor: str = ""  # whose it is, for a fair queue; empty: this program's own
    number: str = field(default_factory=new_number)  # names it in the log


@dataclass(frozen=True)
class Health:
    """How a worker is: fit to take a job, or why not."""

    reason: str = ""  # why it is not fit
    device_bytes: int = 0  # of device memory in use; 0 where there is no device but the CPU

    @property
    def fit(self) -> bool:
        return not self.reason


class Worker(Protocol):
    """Runs jobs, in the order in which they come.

    The last event of a job that was not cancelled is `ComparisonDone`. Where jobs wait for one
    another, `Queued` events come first: the queue position, each time it changes. To cancel a job,
    set `cancelled` or close the iterator: from then on the device is free within one step, wherever
    the job is. That its visitor has gone a page notices within a second or two. A `ValueError` says
    in a sentence for people why a job was not run or not finished.
    """

    def run(self, job: Job, cancelled: threading.Event | None = None) -> Iterator[Event]: ...

    def preload(self) -> None:
        """Get ready, without making the caller wait, what the first visitor would wait for."""

    def health(self) -> Health: ...


Run = Callable[[Job, threading.Event], Iterator[Event]]  # what `Worker.run` is


class AdmittingWorker(Worker, Protocol):
    """A worker that visitors are let in to: before there is a job, and before a file is read."""

    def admit(
        self, visitor: str, address: str = "", number: str = ""
    ) -> AbstractContextManager[Run]:
        """A place for one job, for as long as this is open; what it gives runs the job there.

        Args:
            visitor: The tab or the program that asks, by the name that it gave itself.
            address: Who that is by login or network; empty: this program, which has no limit.
            number: The job's to be.

        Raises a `ValueError` for people where there is none.
        """
