"""Handlers of Compare and Stop: turn a worker's events into updates of the page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from math import ceil
from typing import Any

import gradio as gr

from app.guard.visitors import Visitors, client_key
from app.jobs import read_job
from app.logs import at_job
from app.page import showing
from app.page.board import Board
from app.page.download import download
from app.page.form import Form
from app.page.held import ComparisonStore, HeldComparison, comparison_of
from app.page.screen import Screen
from app.recording.export import zip_recording
from app.request import Request
from app.settings import Settings
from app.worker.events import Event, Notice, Queued
from app.worker.protocol import AdmittingWorker, Job, Run, new_number
from pruning.errors import ExplainedError

SECONDS_BETWEEN_UPDATES = 0.05
log = logging.getLogger(__name__)

Update = dict[Any, Any]
Values = dict[Any, Any]  # by component


class Handlers:
    """The handlers for the components of one page."""

    def __init__(
        self,
        worker: AdmittingWorker,
        settings: Settings,
        form: Form,
        board: Board,
        visitors: Visitors,
    ) -> None:
        self.worker, self.settings, self.form, self.board = worker, settings, form, board
        self.visitors = visitors
        self.store = ComparisonStore(settings.max_held_mb * 1_000_000)
        self.screens: dict[str, Screen] = {}  # of running comparisons, by browser session

    def outputs(self) -> list[Any]:
        form = self.form
        return [*showing.outputs(self.board), form.fold, form.compare, form.stop, form.status]

    def run(self, request: gr.Request, values: Values) -> Iterator[Update]:
        """One comparison, from the click to the last chart; `values` are the form's inputs.

        Ignored while one runs for this page.
        """
        visitor, number = request.session_hash, new_number()
        if self.visitors.busy(visitor):
            return
        asked = self.form.request(values)
        past = values[self.board.past]
        with self.visitors.job(visitor) as cancelled:
            try:
                with self.worker.admit(visitor, client_key(request), number) as run:
                    read = partial(read_as, visitor, number, asked, self.settings)
                    for update in self._admitted(visitor, read, run, cancelled):
                        yield update | self._remember(update, asked, past)
            except Exception as error:
                stopped = cancelled.is_set()
                yield self._stopped() if stopped else self._refusal(describe_error(error, number))

    def stop(self, request: gr.Request) -> Update:
        """Free the device and keep on the screen what has arrived."""
        screen = self.screens.pop(request.session_hash, None)
        self.visitors.cancel(request.session_hash)
        if screen is None:
            return self._stopped()
        screen.stop()
        screen.draw()
        return self._closing(screen)

    def save_recording(self, held: HeldComparison | None) -> Iterator[Update]:
        """Write the file on request, because its large pictures take a while to draw."""
        board, write = self.board, partial(zip_recording, comparison_of(held))
        yield from download(board.save, board.file, write, preparing="Preparing the file")

    def _admitted(
        self,
        visitor: str,
        read: Callable[[threading.Event], Job],
        run: Run,
        cancelled: threading.Event,
    ) -> Iterator[Update]:
        """Read the upload and run the job. Shows what the worker raises instead of raising it."""
        yield self._buttons(running=True) | {self.form.status: note("Reading the upload.")}
        job = read(cancelled)
        screen = self.screens[visitor] = Screen.of_job(job)
        try:
            yield self._opening(screen)
            yield from self._stream(run(job, cancelled), screen, job.number)
        finally:
            if self.screens.get(visitor) is screen:
                del self.screens[visitor]

    def _stream(self, events: Iterator[Event], screen: Screen, number: str) -> Iterator[Update]:
        pending, sent = set(), 0.0
        try:
            for event in events:
                if isinstance(event, Queued | Notice):
                    yield {self.form.status: note(describe_wait(event))}
                    continue
                pending |= screen.take(event)
                if time.monotonic() - sent >= SECONDS_BETWEEN_UPDATES:
                    yield {self.board.parts[part]: screen.html(part) for part in pending}
                    pending, sent = set(), time.monotonic()
        except Exception as error:
            screen.stop()
            text = describe_error(error, number)
            yield self._closing(screen) | {self.form.status: alert(text)}
            return
        if pending:
            yield {self.board.parts[part]: screen.html(part) for part in pending}
        screen.draw()
        if screen.comparison is None:
            screen.stop()
            yield self._closing(screen)
        else:
            yield self._results(screen)

    def _refusal(self, sentence: str) -> Update:
        """Show the reason and leave the board as it is."""
        return self._buttons(running=False) | {self.form.status: alert(sentence)}

    def _opening(self, screen: Screen) -> Update:
        """Replace the previous comparison by waiting lanes."""
        return {
            **showing.begin(self.board, screen),
            **self._buttons(running=True),
            self.form.fold: True,
            self.form.status: note("Comparing."),
        }

    def _results(self, screen: Screen) -> Update:
        """The last update: every value, with charts and figures."""
        held = HeldComparison(screen.comparison, screen)
        update = showing.finish(self.board, held) | self._closing(screen)
        update[self.form.fold] = True
        self.store.hold(held)  # last: this may drop older comparisons, or this one
        return update

    def _remember(self, update: Update, asked: Request, past: Any) -> Update:
        """The history with the comparison of the last update; nothing for an earlier update."""
        held = update.get(self.board.comparison)
        if held is None:
            return {}
        held.request = asked
        return showing.remember(self.board, self.store, held, past)

    def _closing(self, screen: Screen) -> Update:
        status = {self.form.status: note(screen.status())}
        return showing.show_parts(self.board, screen) | self._buttons(running=False) | status

    def _stopped(self) -> Update:
        return self._buttons(running=False) | {self.form.status: note("Stopped.")}

    def _buttons(self, *, running: bool) -> Update:
        return {
            self.form.compare: gr.Button(interactive=not running),
            self.form.stop: gr.Button(interactive=running),
        }


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


def describe_wait(queued: Queued | Notice) -> str:
    """What a job waits for, for the status line: its place in the queue, or its model."""
    if isinstance(queued, Notice):
        return queued.text
    if not queued.ahead:
        return "Comparing."
    seconds = "" if queued.seconds is None else f", about {max(1, ceil(queued.seconds))} s"
    return f"Waiting: {queued.ahead} ahead{seconds}."


def note(sentence: str) -> str:
    return f'<p role="status">{escape(sentence)}</p>'


def alert(sentence: str) -> str:
    return f'<p role="alert">{escape(sentence)}</p>'
