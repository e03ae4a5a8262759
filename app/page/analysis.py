"""The Analysis: measures of every layer of the lanes on the board, and blocked attention."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from app.page import analysis_html as html
from app.page.admission import Admission, EndedError, Place
from app.page.analysis_part import CHARTS, AnalysisPart, declare
from app.page.board import Board
from app.page.download import download, wire_download
from app.page.form import Form
from app.page.handlers import alert, describe_end, describe_wait, note
from app.page.held import ComparisonStore, HeldComparison, comparison_of
from app.recording.analysis import zip_analysis
from app.render.measures import measure_chart, points
from app.render.palette import lane_colours
from app.render.summary import conditions_line
from app.worker.events import ComparisonDone, LaneDone, LaneFailed, Notice, Queued
from app.worker.protocol import Job
from models.engine.record import Blocked, Cell, Comparison, LaneResult
from models.grounding import Region, check_region
from pruning.errors import ExplainedError

STOPPED = "Stopped."
CLOSED = "The form cannot ask this comparison again. Press Compare, then Analyse."

Update = dict[Any, Any]


def wire(
    admission: Admission, form: Form, board: Board, store: ComparisonStore, **device: Any
) -> None:
    """Lay the analysis out on a board and connect it to the worker."""
    part = declare(board, admission.settings)
    own = Analysing(admission, form, board, part, store)
    options = {"show_progress": "hidden", "api_visibility": "private", **device}
    part.button.click(own.run, board.comparison, own.outputs(), **options)
    part.object.click(own.mark, part.held, own.outputs(), **options)
    part.blocking.click(own.block, part.held, own.outputs(), **options)
    wire_download(part.save, part.file, own.save, part.held)
    # Another comparison on the board has another analysis.
    board.address.change(
        lambda: gr.Column(visible=False),
        None,
        part.column,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


class Analysing:
    """The handlers of the Analyse button, of the object's box and of the blocking table."""

    def __init__(
        self,
        admission: Admission,
        form: Form,
        board: Board,
        part: AnalysisPart,
        store: ComparisonStore,
    ) -> None:
        self.admission, self.form, self.board, self.part = admission, form, board, part
        self.store = store

    def outputs(self) -> list[Any]:
        form, board = self.form, self.board
        buttons = [form.compare, form.sweep, board.measure, self.part.button]
        return [*self.part.outputs, *buttons, form.fold, form.stop, form.status]

    def run(self, request: gr.Request, held: HeldComparison | None) -> Iterator[Update]:
        """Analyse the comparison on the board."""
        comparison = comparison_of(held)
        box = comparison.truth.box if comparison.truth else None
        yield from self._ended(request, held, partial(self._analyse, held=held, box=box))

    def mark(
        self, request: gr.Request, held: HeldComparison | None, event: gr.EventData
    ) -> Iterator[Update]:
        """Analyse again with the object's box that came, in per cent."""
        comparison_of(held)
        try:
            box = check_region(str(getattr(event, "box", "")).split(","), of=100)
        except ExplainedError as error:
            yield {self.form.status: alert(str(error))}
            return
        yield from self._ended(request, held, partial(self._analyse, held=held, box=box))

    def block(
        self, request: gr.Request, held: HeldComparison | None, event: gr.EventData
    ) -> Iterator[Update]:
        """Run the cell that was pressed in every lane that lacks it."""
        comparison_of(held)
        layers, name = _num_layers(comparison_of(held)), str(getattr(event, "cell", ""))
        cell = html.find_cell(layers, held.box is not None, name)
        if cell is not None:
            yield from self._ended(request, held, partial(self._block, held=held, cell=cell))

    def save(self, held: HeldComparison | None) -> Iterator[Update]:
        """Write the file on request."""
        write = partial(zip_analysis, comparison_of(held))
        yield from download(self.part.save, self.part.file, write, preparing="Preparing the file")

    def _ended(
        self,
        request: gr.Request,
        held: HeldComparison,
        job: Callable[[Place], Generator[Update, None, Update]],
    ) -> Iterator[Update]:
        """Run a job in its place. Ignored while this page runs one."""
        if self.admission.busy(request):
            return
        if held.request is None:
            yield {self.form.status: alert(CLOSED)}
            return
        try:
            with self.admission.place(request) as place:
                yield self._buttons(True)
                last = yield from job(place)
        except EndedError as ended:
            last = {self.form.status: describe_end(ended)}
        # Not before the place is given back: the next click would be ignored. Gradio sends the last
        # update twice, so it is small.
        yield last
        yield self._buttons(False)

    def _read(
        self, place: Place, held: HeldComparison, box: Region | None, cell: Cell | None = None
    ) -> Job:
        """The job that measures every lane, or that blocks a cell in every lane."""
        from models.analysis.study import Study  # with the engine, which the page starts without

        study = Study(box) if cell is None else Study(box, (cell,), measured=())
        comparison = comparison_of(held)
        job = place.read(replace(held.request, upload=comparison.media))
        return replace(job, study=study, truth=comparison.truth, at_once=1)

    def _analyse(
        self, place: Place, *, held: HeldComparison, box: Region | None
    ) -> Generator[Update, None, Update]:
        """Lanes appear as they end; the charts come with the last update."""
        job = self._read(place, held, box)
        titles = [method.label for method in job.methods]
        colours = lane_colours([method.name for method in job.methods])
        waiting = list(map(html.waiting, titles, colours))
        yield self._opening(comparison_of(held), waiting)
        found: dict[int, str] = {}
        comparison = None
        for event in place.run(job):
            if isinstance(event, Notice) or (isinstance(event, Queued) and event.ahead):
                yield {self.form.status: note(describe_wait(event))}
            elif isinstance(event, LaneDone | LaneFailed):
                lane = event.result if isinstance(event, LaneDone) else event.failure
                looks = job.truth, colours[event.lane], titles[event.lane]
                found[event.lane] = html.lane_figure(job.media, lane, *looks)
                yield {self.part.lanes[event.lane]: found[event.lane]}
            elif isinstance(event, ComparisonDone):
                comparison = event.comparison
        if comparison is None:
            rest = [index for index in range(len(titles)) if index not in found]
            stopped = {
                self.part.lanes[i]: html.waiting(titles[i], colours[i], STOPPED) for i in rest
            }
            return stopped | {self.form.status: note(STOPPED)}
        analysed = HeldComparison(comparison, request=held.request, box=box)
        return self._results(self.store.hold(analysed)) | {self.form.status: note("Analysed.")}

    def _block(
        self, place: Place, *, held: HeldComparison, cell: Cell
    ) -> Generator[Update, None, Update]:
        """A line of the cell appears as its lane ends."""
        job = self._read(place, held, held.box, cell)
        lacking = [
            index
            for index, lane in enumerate(comparison_of(held).lanes)
            if isinstance(lane, LaneResult) and cell not in _cells(lane)
        ]
        job = replace(job, methods=tuple(job.methods[index] for index in lacking))
        yield self._table(held, cell) | {self.form.status: note("Blocking.")}
        status = STOPPED
        try:
            for event in place.run(job):
                if isinstance(event, LaneDone):
                    _add(held, lacking[event.lane], event.result.analysis.blocked)
                    yield self._table(held, cell)
                elif isinstance(event, LaneFailed):
                    status = event.failure.reason
                elif isinstance(event, ComparisonDone) and status == STOPPED:
                    status = "Blocked."
        except ExplainedError as error:
            status = str(error)
        return self._table(held) | {self.form.status: note(status)}

    def _opening(self, comparison: Comparison, waiting: list[str]) -> Update:
        """Empty lanes in place of an earlier analysis, whose charts are dimmed."""
        part = self.part
        return {
            part.column: gr.Column(visible=True),
            part.heading: html.heading(comparison),
            **self._lanes(waiting),
            part.object: "",
            part.blocking: "",
            part.save: gr.Button(interactive=False),
            self.form.fold: True,
            self.form.status: note("Analysing."),
        }

    def _lanes(self, figures: list[str]) -> Update:
        """A column for each lane."""
        figures = figures + [""] * (len(self.part.lanes) - len(figures))
        return {
            one: gr.HTML(figure, visible=bool(figure))
            for one, figure in zip(self.part.lanes, figures, strict=True)
        }

    def _results(self, held: HeldComparison) -> Update:
        """Charts of what has values, the object, and the blocking table."""
        part, comparison, update = self.part, comparison_of(held), {}
        for (name, encoder), column, chart in zip(CHARTS, part.measures, part.charts, strict=True):
            some = bool(points(comparison, name, encoder))
            update[column] = gr.Column(visible=some)
            if some:
                update[chart] = measure_chart(comparison, name, encoder, compact=True)
        return update | {
            part.object: html.object_form(comparison, held.box),
            **self._table(held),
            part.conditions: f"<p>{conditions_line(comparison)}</p>",
            part.save: gr.Button(interactive=True),
            part.held: held,
        }

    def _table(self, held: HeldComparison, running: Cell | None = None) -> Update:
        comparison, known = comparison_of(held), held.box is not None
        layers = _num_layers(comparison)
        table = html.blocking(comparison, layers, known, running) if layers else ""
        return {self.part.blocking: table}

    def _buttons(self, running: bool) -> Update:
        form = self.form
        started = (form.compare, form.sweep, self.board.measure, self.part.button)
        return {
            **{button: gr.Button(interactive=not running) for button in started},
            form.stop: gr.Button(interactive=running),
        }


def _num_layers(comparison: Comparison) -> int:
    """LLM layers of the lanes that were analysed; 0 if every lane failed."""
    done = (lane.analysis for lane in comparison.lanes if isinstance(lane, LaneResult))
    return next((one.maps.shape[1] for one in done if one is not None), 0)


def _cells(lane: LaneResult) -> list[Cell]:
    return [one.cell for one in lane.analysis.blocked] if lane.analysis else []


def _add(held: HeldComparison, index: int, blocked: tuple[Blocked, ...]) -> None:
    """Keep a lane's blocked cells with its analysis."""
    comparison = comparison_of(held)
    lanes = list(comparison.lanes)
    analysis = lanes[index].analysis
    found = replace(analysis, blocked=(*analysis.blocked, *blocked))
    lanes[index] = replace(lanes[index], analysis=found)
    held.comparison = replace(comparison, lanes=tuple(lanes))
