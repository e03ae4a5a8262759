"""The Measure button: repeats the lanes of the board, so that their times come with a spread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app.page import showing
from app.page.admission import Admission, EndedError, Place
from app.page.board import Board
from app.page.figures import figures_table
from app.page.form import Form
from app.page.handlers import alert, describe_end, describe_wait, note
from app.page.held import HeldComparison, comparison_of
from app.render.headline import headline
from app.render.latency import latency_chart
from app.render.summary import conditions_line, media_line
from app.repeats import repeated, repeats_for, with_repeats
from app.worker.events import ComparisonDone, LaneDone, LaneFailed, Notice, Queued
from app.worker.protocol import Job
from models.engine.record import Comparison

RECORDED = "This comparison is a recording. Press Compare to run it here, then Measure."

Update = dict[Any, Any]


class Measuring:
    """The handler of the Measure button."""

    def __init__(self, admission: Admission, form: Form, board: Board) -> None:
        self.admission, self.form, self.board = admission, form, board

    def outputs(self) -> list[Any]:
        board, form = self.board, self.form
        shown = [board.headline, board.latency, board.figures, board.conditions, board.comparison]
        return [*shown, form.compare, form.sweep, board.measure, form.stop, form.status]

    def run(self, request: gr.Request, held: HeldComparison | None) -> Iterator[Update]:
        """Run the lanes again and redraw their times. Ignored while this page runs a job."""
        comparison = comparison_of(held)
        if self.admission.busy(request):
            return
        if held.recorded:
            yield {self.form.status: alert(RECORDED)}
            return
        asked = replace(held.request, upload=comparison.media)
        try:
            with self.admission.place(request) as place:
                runs = yield from self._measure(place, place.read(asked), comparison)
        except EndedError as ended:
            yield self._buttons(False) | {self.form.status: describe_end(ended)}
            return
        yield self._buttons(False) | self._shown(held, comparison, runs)

    def _measure(
        self, place: Place, job: Job, comparison: Comparison
    ) -> Generator[Update, None, Comparison | None]:
        """The repeated runs; None if they were stopped."""
        count, ran = repeats_for(comparison), 0
        again = repeated(job, comparison, count)
        yield self._buttons(True) | {
            self.form.status: note(f"Measuring: {count} runs of each lane.")
        }
        lanes, runs = len(again.methods) // count, None
        for event in place.run(again):
            if isinstance(event, Notice) or (isinstance(event, Queued) and event.ahead):
                yield {self.form.status: note(describe_wait(event))}
            elif isinstance(event, LaneDone | LaneFailed):
                ran += 1
                if ran % lanes == 0:
                    yield {self.form.status: note(f"Measured {ran // lanes} of {count} runs.")}
            elif isinstance(event, ComparisonDone):
                runs = event.comparison
        return runs

    def _shown(
        self, held: HeldComparison, comparison: Comparison, runs: Comparison | None
    ) -> Update:
        """Times, headline and conditions of what was measured, which replaces what was held."""
        if runs is None:
            return {self.form.status: note("Stopped.")}
        board = self.board
        measured = with_repeats(comparison, runs)
        if held:  # dropped meanwhile: what is stored again would not count as memory
            held.comparison = measured
        return {
            board.headline: showing.paragraphs(headline(measured)),
            board.latency: latency_chart(measured),
            board.figures: figures_table(measured),
            board.conditions: showing.paragraphs(
                conditions_line(measured), media_line(measured.media)
            ),
            board.comparison: held,
            self.form.status: note("Measured."),
        }

    def _buttons(self, running: bool) -> Update:
        form = self.form
        started = (form.compare, form.sweep, self.board.measure)
        return {
            **{button: gr.Button(interactive=not running) for button in started},
            form.stop: gr.Button(interactive=running),
        }
