"""Opens a comparison that exists already: the story of the first view, a held one, a recording."""

from __future__ import annotations

import logging
from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr

from app.example_uploads import STORY, stories
from app.page import showing
from app.page.following import Following
from app.page.handlers import Handlers, alert, note
from app.page.held import GONE, HeldComparison
from app.page.repeating import request_of
from app.page.screen import Screen
from app.recording import storage
from app.recording.uploads import open_upload
from app.request import Request
from app.settings import EXAMPLES, Settings
from models.engine.record import Comparison
from pruning.errors import ExplainedError

Update = dict[Any, Any]
GONE_HERE = f"{GONE} Here is a recorded comparison."
BUSY = "This page runs a comparison. Wait for its end or press Stop, then open another one."
OPENED = "Opened from a file."
ASK_AGAIN = f"{OPENED} The form asks the same: Compare runs it here."
UNSHOWN = "This recording cannot be shown: its values do not fit together. Download it again."
log = logging.getLogger(__name__)


class Opening:
    """The handlers for the components of one page."""

    def __init__(self, follow: Following, handlers: Handlers) -> None:
        self.follow, self.board = follow, handlers.board
        self.admission, self.store = handlers.admission, handlers.store
        self.form = follow.form

    def outputs(self) -> list[Any]:
        form = self.form
        return [*showing.outputs(self.board), *self.follow.request_outputs(), form.status]

    def arrive(self, address: str, past: str) -> Update:
        """What a loaded page shows: the comparison of its address, else the story."""
        held = self.store.find(str(address)) if address else None
        status = alert(GONE_HERE) if address and not held else ""
        return self._open(held or story(), past) | {self.form.status: status}

    def choose(self, request: gr.Request, past: str, event: gr.EventData) -> Update:
        """A comparison of the history."""
        if self.admission.busy(request):
            return {self.form.status: alert(BUSY)}
        held = self.store.find(str(getattr(event, "address", "")))
        if held is None:
            return {self.form.status: alert(GONE)}
        return self._open(held, past) | {self.form.status: note("An earlier comparison.")}

    def open_file(self, request: gr.Request, past: str, path: str | None) -> Update:
        """A recording that a person has uploaded; a refused one leaves the board as it is."""
        if self.admission.busy(request):
            return {self.form.status: alert(BUSY)}
        try:
            held = opened(path or "", self.admission.settings)
            update = self._open(held, past)
        except ExplainedError as error:
            return {self.form.status: alert(str(error))}
        except Exception as error:  # valid fields may still be what nothing can draw
            log.warning("recording not shown", exc_info=error)
            return {self.form.status: alert(UNSHOWN)}
        sentence = ASK_AGAIN if held.request and held.request.upload else OPENED
        return update | {self.form.status: note(sentence)}

    def _open(self, held: HeldComparison, past: str) -> Update:
        board = self.board
        update = showing.finish(board, held)
        if held.address:  # the story has none
            self.store.hold(held)  # once drawn, because the drawn pictures count
        else:
            typical = _entry_of(held.comparison)["typical"]
            update[board.headline] += f'<p class="typical">{escape(typical)}</p>'
        update |= showing.remember(board, self.store, held, past)
        if held.request is not None:
            update |= self.follow.restore(held.request)
        return update


def _entry_of(comparison: Comparison) -> dict:
    """The entry of the first view in the list of stories."""
    return next(one for one in stories().values() if one["question"] == comparison.question)


@lru_cache(maxsize=1)
def story() -> HeldComparison:
    """The recorded comparison of the first view, which no visitor has asked for."""
    comparison = storage.load(STORY)
    shown = _entry_of(comparison)
    request = Request(
        upload=str(EXAMPLES / shown["file"]),
        question=comparison.question,
        model=comparison.model,
        methods=shown["methods"],
        retention_ratio=shown["retention_ratio"],
    )
    screen = Screen.of_recording(comparison)
    return HeldComparison(comparison, screen, request, recorded=True, address="")


def opened(path: str, settings: Settings) -> HeldComparison:
    """The comparison of a recording that a visitor has uploaded."""
    comparison = open_upload(path, settings)
    screen = Screen.of_recording(comparison, opened=True)
    return HeldComparison(comparison, screen, request_of(comparison, settings), recorded=True)
