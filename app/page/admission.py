"""A request on its way to the device: it gets a place in the queue, is read, and runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import gradio as gr

from app.guard.visitors import Visitors, client_key
from app.jobs import read_job
from app.logs import at_job
from app.request import Request
from app.settings import Settings
from app.worker.events import Event
from app.worker.protocol import AdmittingWorker, Job, Run, new_number
from pruning.errors import ExplainedError

log = logging.getLogger(__name__)


class EndedError(Exception):
    """A request that was stopped or failed; its cause is the error that ended it."""

    def __init__(self, error: Exception, number: str, stopped: bool) -> None:
        super().__init__(str(error))
        self.error, self.number, self.stopped = error, number, stopped

    def describe(self) -> str:
        """The reason in a sentence for the visitor; logs an error that was not written for one."""
        return describe_error(self.error, self.number)


@dataclass(frozen=True, eq=False)
class Place:
    """A place in the worker's queue, under one job number."""

    visitor: str
    number: str
    settings: Settings
    cancelled: threading.Event
    start: Run

    def read(self, request: Request, ratios: Sequence[float] | None = None) -> Job:
        """The visitor's request as a job, its upload read."""
        args = self.visitor, self.number, request, self.settings, self.cancelled
        return read_as(*args, ratios)

    def run(self, job: Job) -> Iterator[Event]:
        return self.start(job, self.cancelled)


@dataclass(frozen=True, eq=False)
class Admission:
    """Admits the requests of pages and programs to one worker."""

    worker: AdmittingWorker
    settings: Settings
    visitors: Visitors

    def busy(self, request: gr.Request) -> bool:
        """Whether a job of this page runs, beside which another one is ignored."""
        return self.visitors.busy(request.session_hash)

    @contextmanager
    def place(self, request: gr.Request | None) -> Iterator[Place]:
        """One place in the queue, given back at the end. Raises `EndedError` for any error."""
        visitor, number = request.session_hash if request else "", new_number()
        with self.visitors.job(visitor) as cancelled:
            try:
                with self.worker.admit(visitor, client_key(request), number) as start:
                    yield Place(visitor, number, self.settings, cancelled, start)
            except Exception as error:
                raise EndedError(error, number, cancelled.is_set()) from error


def read_as(
    visitor: str,
    number: str,
    request: Request,
    settings: Settings,
    cancelled: threading.Event,
    ratios: Sequence[float] | None = None,
) -> Job:
    """Read a visitor's request. Log lines of the reading bear the job's number."""
    with at_job(number):
        job = read_job(request, settings, cancelled, ratios)
    return replace(job, visitor=visitor, number=number)


def describe_error(error: Exception, number: str) -> str:
    """An `ExplainedError` in its own sentence; any other error is logged under the job's number."""
    if isinstance(error, gr.Error):  # from ZeroGPU: quotas, and errors of the forked process
        return str(error.message)
    if isinstance(error, ExplainedError):
        return str(error)
    log.error("comparison failed", exc_info=error, extra={"job": number})
    return f"The comparison stopped on an internal error. The log has the rest under {number}."
