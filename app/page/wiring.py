"""Wires what stands beside Compare: new uploads, photographs, Sweep and Measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from app.example_uploads import photographs
from app.page import fresh, sweep
from app.page.admission import Admission
from app.page.board import Board
from app.page.form import Form, chips_of
from app.page.measuring import Measuring
from app.page.sweep import Sweeping
from app.settings import EXAMPLES

# Drawn for a few visitors at a time, beside the device's queue.
DRAWING = {"concurrency_id": "drawing", "concurrency_limit": 2}
PRIVATE = {"show_progress": "hidden", "api_visibility": "private"}


def wire_uploads(form: Form) -> None:
    """New scenes and clips, and photographs, go into the form with their questions."""
    for kind, part in form.fresh.items():
        filled = [form.uploads[kind], form.question, form.chips, form.gaze]
        new = partial(_filled, kind, lambda kind=kind: fresh.draw(kind), form)
        part.new.click(new, None, filled, **PRIVATE, **DRAWING)
        if part.photographs is not None:
            part.photographs.select(_choosing(kind, form), None, filled, queue=False, **PRIVATE)


def _choosing(kind: str, form: Form) -> Callable[[gr.SelectData], dict[Any, Any]]:
    """A handler with the annotation by which Gradio passes the event."""

    def choose(event: gr.SelectData) -> dict[Any, Any]:
        entry = photographs()[event.index]
        return _filled(kind, lambda: (str(EXAMPLES / entry["file"]), entry), form)

    return choose


def _filled(kind: str, upload: Callable[[], tuple[str, dict]], form: Form) -> dict[Any, Any]:
    path, entry = upload()
    return {
        form.uploads[kind]: path,
        form.question: entry["questions"][0]["question"],
        form.chips: chips_of(entry),
        form.gaze: "",  # that of the upload before would be wrong
    }


def wire_jobs(admission: Admission, form: Form, board: Board, **device: Any) -> None:
    """Sweep and Measure take a place in the queue as Compare does; Stop ends them."""
    part = sweep.declare(board.sweep, admission.settings)
    sweeping = Sweeping(admission, form, part)
    form.sweep.click(sweeping.run, set(form.values()), sweeping.outputs(), **PRIVATE, **device)
    measuring = Measuring(admission, form, board)
    board.measure.click(measuring.run, board.comparison, measuring.outputs(), **PRIVATE, **device)
