"""Handlers of Compare and Stop: turn a worker's events into updates of the page."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from functools import partial
from html import escape
from math import ceil
from typing import Any

import gradio as gr

from app.page import showing
from app.page.admission import Admission, EndedError, Place, describe_error
from app.page.board import Board
from app.page.download import download
from app.page.form import Form
from app.page.held import ComparisonStore, HeldComparison, comparison_of
from app.page.screen import Screen
from app.recording.export import zip_recording
from app.request import Request
from app.worker.events import Event, Notice, Queued

SECONDS_BETWEEN_UPDATES = 0.05
STOPPED = "Stopped."

Update = dict[Any, Any]
Values = dict[Any, Any]  # by component


class Handlers:
    """The handlers for the components of one page."""

    def __init__(self, admission: Admission, form: Form, board: Board) -> None:
        self.admission, self.form, self.board = admission, form, board
        self.store = ComparisonStore(admission.settings.max_held_mb * 1_000_000)
        self.screens: dict[str, Screen] = {}  # of running comparisons, by browser session

    def outputs(self) -> list[Any]:
        form = self.form
        return [*showing.outputs(self.board), form.fold, form.compare, form.stop, form.status]

    def run(self, request: gr.Request, values: Values) -> Iterator[Update]:
        """One comparison, from the click to the last chart; `values` are the form's inputs.

        Ignored while one runs for this page.
        """
        if self.admission.busy(request):
            return
        asked = self.form.request(values)
        past = values[self.board.past]
        try:
            with self.admission.place(request) as place:
                last = yield from self._admitted(place, asked)
        except EndedError as ended:
            last = self._buttons(running=False) | {self.form.status: describe_end(ended)}
        # Not before the place is given back: the next click would be ignored.
        yield last | self._remember(last, asked, past)

    def stop(self, request: gr.Request) -> Update:
        """Free the device and keep on the screen what has arrived."""
        screen = self.screens.pop(request.session_hash, None)
        self.admission.visitors.cancel(request.session_hash)
        if screen is None:
            return self._buttons(running=False) | {self.form.status: note(STOPPED)}
        screen.stop()
        screen.draw()
        return self._closing(screen)

    def _admitted(self, place: Place, asked: Request) -> Generator[Update, None, Update]:
        """Read the upload and run the job; returns the last update.

        Shows what the worker raises instead of raising it.
        """
        yield self._buttons(running=True) | {self.form.status: note("Reading the upload.")}
        job = place.read(asked)
        screen = self.screens[place.visitor] = Screen.of_job(job)
        try:
            yield self._opening(screen)
            return (yield from self._stream(place.run(job), screen, job.number))
        finally:
            if self.screens.get(place.visitor) is screen:
                del self.screens[place.visitor]

    def _stream(
        self, events: Iterator[Event], screen: Screen, number: str
    ) -> Generator[Update, None, Update]:
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
            return self._closing(screen) | {self.form.status: alert(text)}
        if pending:
            yield {self.board.parts[part]: screen.html(part) for part in pending}
        screen.draw()
        if screen.comparison is None:
            screen.stop()
            return self._closing(screen)
        return self._results(screen)

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

    def _buttons(self, *, running: bool) -> Update:
        return {
            self.form.compare: gr.Button(interactive=not running),
            self.form.stop: gr.Button(interactive=running),
        }


def recording_file(board: Board, held: HeldComparison | None) -> Iterator[Update]:
    """Write the file on request, because its large pictures take a while to draw."""
    write = partial(zip_recording, comparison_of(held))
    yield from download(board.save, board.file, write, preparing="Preparing the file")


def describe_size(path: str, most_mb: int) -> str:
    """What to do with a recording that this page would refuse; empty if it would open it."""
    size = ceil(os.path.getsize(path) / 1_000_000)
    if size <= most_mb:
        return ""
    return (
        f"The recording has {size} MB, and this page opens at most {most_mb} MB. To open it later, "
        f"start your own page with TOKENSCOPE_MAX_UPLOAD_MB={size}."
    )


def describe_end(ended: EndedError) -> str:
    """Why a job has no result, for the status line."""
    return note(STOPPED) if ended.stopped else alert(ended.describe())


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
