"""The Sweep: one question over several ratios, drawn method by method as their lanes end."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from app.jobs import NOUNS
from app.page.admission import Admission, EndedError
from app.page.chart import Chart
from app.page.form import Form
from app.page.handlers import describe_end, describe_wait, note
from app.page.pictures import data_uri, thumbnail
from app.page.showing import note_html
from app.render.palette import VANILLA_COLOUR
from app.render.summary import conditions_line
from app.render.sweep import Point, Sweep, percent, sentences, sweep_chart
from app.render.sweep_sheet import lane_picture
from app.render.text import one_line
from app.request import RATIOS
from app.settings import Settings
from app.worker.events import ComparisonDone, Event, LaneDone, LaneFailed, Notice, Queued
from app.worker.protocol import Job
from models.catalog import find
from models.engine.record import Comparison, LaneFailure, LaneResult

SIDE = 256  # pixels of a picture
ENDED = "<p>The sweep was stopped: some runs are missing.</p>"
SPOKEN = {"right": "right", "wrong": "wrong", "refused": "could not run", "waiting": "waiting"}

Update = dict[Any, Any]


@dataclass(frozen=True)
class SweepPart:
    """The components of a sweep's results."""

    column: gr.Column
    heading: gr.HTML  # with the question and the model
    words: gr.HTML
    rows: list[gr.HTML]  # vanilla, then one for each method
    charts: gr.Column
    chart: Chart
    conditions: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        parts = (self.heading, self.words, *self.rows)
        return [self.column, *parts, self.charts, self.chart, self.conditions]


def declare(column: gr.Column, settings: Settings) -> SweepPart:
    """Lay the results out inside `column`, which is hidden until a sweep begins."""
    with column:
        heading = gr.HTML(elem_id="sweep-heading", apply_default_css=False)
        region = "element.setAttribute('role', 'status')"
        words = gr.HTML("", elem_id="sweep-words", apply_default_css=False, js_on_load=region)
        rows = [
            gr.HTML(elem_classes="sweep-row", apply_default_css=False, visible=False)
            for _ in range(settings.max_lanes + 1)
        ]
        with gr.Column(visible=False, min_width=0) as charts:
            chart = Chart(
                label="Answers against the ratio", show_label=False, elem_id="sweep-chart"
            )
        conditions = gr.HTML(elem_id="sweep-conditions", apply_default_css=False)
    return SweepPart(column, heading, words, rows, charts, chart, conditions)


class Sweeping:
    """The handler of the Sweep button."""

    def __init__(self, admission: Admission, form: Form, part: SweepPart) -> None:
        self.admission, self.form, self.part = admission, form, part

    def outputs(self) -> list[Any]:
        form = self.form
        return [*self.part.outputs, form.compare, form.sweep, form.stop, form.status]

    def run(self, request: gr.Request, values: dict[Any, Any]) -> Iterator[Update]:
        """One sweep, from the click to its chart. Ignored while this page runs a job."""
        if self.admission.busy(request):
            return
        asked, begun = self.form.request(values), False
        try:
            with self.admission.place(request) as place:
                yield self._buttons(True) | {self.form.status: note("Reading the upload.")}
                job = place.read(asked, RATIOS)
                begun = True
                last = yield from self._stream(job, place.run(job))
        except EndedError as ended:
            last = self._buttons(False) | {self.form.status: describe_end(ended)}
            if begun:  # a refusal leaves an earlier sweep as it is
                last[self.part.words] = ENDED
        yield last  # not before the place is given back: the next click would be ignored

    def _stream(self, job: Job, events: Iterator[Event]) -> Generator[Update, None, Update]:
        """A row's texts change with every lane; its pictures come once, when it is complete.

        Returns the last update.
        """
        lanes: list[LaneResult | LaneFailure] = [
            LaneFailure(method.name, method.label, "") for method in job.methods
        ]
        yield self._opening(job, lanes)
        finished = None
        for event in events:  # to their end, after which the job counts as done
            if isinstance(event, Queued | Notice):
                yield {self.form.status: note(describe_wait(event))}
            elif isinstance(event, LaneDone | LaneFailed):
                done = isinstance(event, LaneDone)
                lanes[event.lane] = event.result if done else event.failure
                yield self._row(job, lanes, event.lane)
            elif isinstance(event, ComparisonDone):
                finished = Sweep(event.comparison, job.ratios)
        return self._stopped() if finished is None else self._closing(finished)

    def _opening(self, job: Job, lanes: Sequence[LaneResult | LaneFailure]) -> Update:
        part, sweep = self.part, sweep_of(job, lanes)
        rows = [_row_html(sweep, index, drawn=False) for index in range(len(sweep.rows) + 1)]
        rows += [""] * (len(part.rows) - len(rows))
        return {
            part.column: gr.Column(visible=True),
            part.heading: _heading(job),
            part.words: "<p>Vanilla runs once, then each method at each ratio.</p>",
            **{
                one: gr.HTML(html, visible=bool(html))
                for one, html in zip(part.rows, rows, strict=True)
            },
            part.charts: gr.Column(visible=False),
            part.conditions: "",
            **self._buttons(True),
            self.form.status: note("Sweeping."),
        }

    def _row(self, job: Job, lanes: Sequence[LaneResult | LaneFailure], lane: int) -> Update:
        index = 0 if lane == 0 else 1 + (lane - 1) // len(job.ratios)
        sweep = sweep_of(job, lanes)
        points = _points(sweep, index)
        complete = all(point.verdict != "waiting" for point in points)
        ran = sum(isinstance(one, LaneResult) or bool(one.reason) for one in lanes)
        return {
            self.part.rows[index]: _row_html(sweep, index, drawn=complete),
            self.form.status: note(f"Sweeping: {ran} of {len(lanes)} runs."),
        }

    def _stopped(self) -> Update:
        status = {self.part.words: ENDED, self.form.status: note("Stopped.")}
        return status | self._buttons(False)

    def _closing(self, sweep: Sweep) -> Update:
        part = self.part
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(sweep))
        return {
            part.words: f"<ul>{items}</ul>",
            part.charts: gr.Column(visible=True),
            part.chart: sweep_chart(sweep),
            part.conditions: f"<p>{escape(conditions_line(sweep.comparison))}</p>",
            **self._buttons(False),
            self.form.status: note("The sweep is complete."),
        }

    def _buttons(self, running: bool) -> Update:
        form = self.form
        return {
            form.compare: gr.Button(interactive=not running),
            form.sweep: gr.Button(interactive=not running),
            form.stop: gr.Button(interactive=running),
        }


def _heading(job: Job) -> str:
    """Names what was swept: the lanes above may show another comparison."""
    noun, title = NOUNS[job.media.kind], find(job.model).title
    return (
        '<h2>Sweep over retention ratios</h2><div class="caption">'
        f'<img src="{thumbnail(job.media)}" alt="The {noun} of the sweep">'
        f'<p class="asked">{escape(job.question)}</p><p class="facts">{escape(title)}</p></div>'
        f"{note_html(job.model, job.question, job.drawn)}"
    )


def sweep_of(job: Job, lanes: Sequence[LaneResult | LaneFailure]) -> Sweep:
    comparison = Comparison(job.model, job.question, job.media, tuple(lanes), {}, job.truth)
    return Sweep(comparison, job.ratios)


def _points(sweep: Sweep, index: int) -> list[Point]:
    return [sweep.vanilla] if index == 0 else list(sweep.rows.values())[index - 1]


def _row_html(sweep: Sweep, index: int, drawn: bool) -> str:
    """Vanilla's row has one cell; a method's has one for each ratio."""
    title = "Vanilla" if index == 0 else list(sweep.rows)[index - 1]
    colour = VANILLA_COLOUR if index == 0 else sweep.colours[index - 1]
    cells = "".join(_cell(sweep, title, point, colour, drawn) for point in _points(sweep, index))
    return f'<h3 style="--lane:{colour}">{escape(title)}</h3><ol class="sweep-cells">{cells}</ol>'


def _cell(sweep: Sweep, title: str, point: Point, colour: str, drawn: bool) -> str:
    """A picture framed by its verdict, with ratio, sign, IoU and answer below."""
    ratio = "all tokens" if title == "Vanilla" else percent(point.ratio)
    lane, said = point.lane, SPOKEN[point.verdict]
    text = one_line(lane.answer if isinstance(lane, LaneResult) else lane.reason)
    place = '<div class="awaited"></div>'
    if drawn and isinstance(lane, LaneResult):
        comparison = sweep.comparison
        picture = lane_picture(comparison.media, lane, comparison.truth, colour, SIDE)
        alt = f"{title} at {ratio}: {said}"
        place = f'<img src="{data_uri(picture, SIDE)}" alt="{escape(alt)}">'
    return (
        f'<li data-verdict="{point.verdict}">{place}<p><b>{ratio}</b> '
        f'<span role="img" aria-label="{said}" class="verdict {point.verdict}">'
        f"{escape(point.text)}</span></p>"
        f'<p class="said" title="{escape(text)}">{escape(text)}</p></li>'
    )
