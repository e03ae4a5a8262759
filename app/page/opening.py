"""Opens a comparison that exists already: the story of the first view, a held one, a recording."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gradio as gr

from app.example_uploads import STORY, stories
from app.page import showing
from app.page.board import Board
from app.page.following import Following
from app.page.handlers import alert, note
from app.page.held import GONE, ComparisonStore, HeldComparison
from app.page.screen import Screen
from app.recording import storage
from app.request import Request
from app.settings import EXAMPLES

Update = dict[Any, Any]
GONE_HERE = f"{GONE} Here is a recorded comparison."


class Opening:
    """The handlers for the components of one page."""

    def __init__(self, follow: Following, board: Board, store: ComparisonStore) -> None:
        self.follow, self.board, self.store = follow, board, store
        self.form = follow.form

    def outputs(self) -> list[Any]:
        form = self.form
        return [*showing.outputs(self.board), *self.follow.request_outputs(), form.status]

    def arrive(self, address: str, past: str) -> Update:
        """What a loaded page shows: the comparison of its address, else the story."""
        held = self.store.find(str(address)) if address else None
        status = alert(GONE_HERE) if address and not held else ""
        return self._open(held or story(), past) | {self.form.status: status}

    def choose(self, past: str, event: gr.EventData) -> Update:
        """A comparison of the history."""
        held = self.store.find(str(getattr(event, "address", "")))
        if held is None:
            return {self.form.status: alert(GONE)}
        return self._open(held, past) | {self.form.status: note("An earlier comparison.")}

    def _open(self, held: HeldComparison, past: str) -> Update:
        board = self.board
        update = showing.finish(board, held)
        update |= showing.remember(board, self.store, held, past)
        if held.request is not None:
            update |= self.follow.restore(held.request)
        return update


@lru_cache(maxsize=1)
def story() -> HeldComparison:
    """The recorded comparison of the first view, which belongs to nobody."""
    comparison = storage.load(STORY)
    shown = next(one for one in stories().values() if one["question"] == comparison.question)
    request = Request(
        upload=str(EXAMPLES / shown["file"]),
        question=comparison.question,
        model=comparison.model,
        methods=shown["methods"],
        retention_ratio=shown["retention_ratio"],
    )
    return HeldComparison(comparison, Screen.of_recording(comparison), request, address="")
