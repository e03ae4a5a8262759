"""The Cases page: pages through the cases of a run, and takes verdicts, tags and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.cases.filters import VANILLA, Filter, Table
from app.cases.library import Library, Owner
from app.cases.rates import summarize
from app.cases.store import Run
from app.page import board as boards
from app.page import cases_html as html
from app.page import showing
from app.page.admission import Admission, EndedError
from app.page.board import Board
from app.page.cases_files import wire_export
from app.page.cases_remarks import (
    Asked,
    asked_again,
    numbering,
    owner_of,
    save_remark,
    sources,
)
from app.page.choices import method_choices
from app.page.compare import QUIET, wire_inspector, wire_recording
from app.page.held import ComparisonStore, HeldComparison
from app.page.keeping import OWN
from app.page.pictures import data_uri
from app.page.repeating import gaze_text
from app.page.screen import Screen
from app.request import Request
from app.worker.events import ComparisonDone
from models.engine.record import Comparison
from models.uploads.media import MediaError

HERE = Path(__file__).parent
PAGE = 24  # cases of one page of the list
THUMB = 144  # pixels
MOST_THUMBS = 2000  # that stay drawn
MOST_CHOSEN = 4  # filters whose cases and rates are known, for the next key
AGAIN = "Run this case here"
CANCELLED = "The run was stopped."
ADDRESS = f"() => [location.search.slice(1), {OWN}]"

Update = dict[Any, Any]


def cases_view(
    page: gr.Blocks,
    admission: Admission,
    **device: Any,
) -> None:
    """Build the view inside the current route of `page` and connect it to the worker."""
    settings, library = admission.settings, Library(admission.settings)
    with gr.Column(elem_id="cases-page"):
        with gr.Row(elem_id="cases-top"):
            message = gr.HTML("", elem_id="cases-message", apply_default_css=False)
            again = gr.Button(AGAIN, visible=False, size="sm", elem_id="again")
            wire_export(library)
        head = gr.HTML("", elem_id="case", apply_default_css=False)
        board = boards.declare(settings)
        script = (HERE / "cases.js").read_text()
        listed = gr.HTML("", elem_id="cases", apply_default_css=False, js_on_load=script)
        asked = gr.Textbox(visible=False)  # the query of the open case
        own = gr.Textbox(visible=False)  # the secret of this browser
    parts = Parts(message, head, again, board, listed, asked)
    handlers = CaseHandlers(library, parts, admission)
    page.load(handlers.arrive, [asked, own], parts.outputs(), js=ADDRESS, **QUIET)
    # "once" would ignore a remark that comes while a case is being drawn.
    listed.click(handlers.act, None, parts.outputs(), trigger_mode="multiple", **QUIET)
    again.click(
        handlers.run_again,
        [asked, own],
        parts.outputs(),
        js=f"(asked) => [asked, {OWN}]",
        api_visibility="private",
        **device,
    )
    wire_inspector(board.inspector, board.comparison)
    wire_recording(board, settings)


@dataclass(frozen=True)
class Parts:
    """The components of the page."""

    message: gr.HTML
    head: gr.HTML
    again: gr.Button
    board: Board
    listed: gr.HTML
    asked: gr.Textbox

    def outputs(self) -> list[Any]:
        own = [self.message, self.head, self.again, self.listed, self.asked]
        return [*own, *showing.outputs(self.board)]

    def close(self) -> Update:
        """No case is open."""
        board = self.board
        columns = {column: gr.Column(visible=False) for column in board.columns}
        empty = {part: "" for part in (board.caption, board.headline, board.outside)}
        return {
            **columns,
            **empty,
            board.bar: gr.Row(visible=False),
            board.results: gr.Column(visible=False),
            self.head: "",
            self.again: gr.Button(visible=False),
        }


class CaseHandlers:
    """Answers what the browser asks: an address, or a remark on its case."""

    def __init__(self, library: Library, parts: Parts, admission: Admission) -> None:
        self.library, self.parts, self.admission = library, parts, admission
        self.settings = admission.settings
        self.store = ComparisonStore(self.settings.max_held_mb * 1_000_000)
        self.thumbnail = lru_cache(MOST_THUMBS)(self._thumbnail)
        self.choose = lru_cache(MOST_CHOSEN)(choose)

    def arrive(self, query: Any, own: Any, request: gr.Request) -> Update:
        """Show what the address of a loaded page names: the answer of number 0."""
        return self._numbered({"query": query, "own": own, "number": 0}, request)

    def act(self, event: gr.EventData, request: gr.Request) -> Update:
        """Save the remark, if one came, and show what the address names."""
        return self._numbered(event._data if isinstance(event._data, dict) else {}, request)

    def _numbered(self, data: dict[str, Any], request: gr.Request) -> Update:
        """The browser sends the next request when it sees the number of this one."""
        update = self._answer(data, request)
        update[self.parts.message] += (
            f'<i hidden data-number="{escape(str(data.get("number")))}"></i>'
        )
        return update

    def _answer(self, data: dict[str, Any], request: gr.Request) -> Update:
        try:
            owner = owner_of(request, data.get("own"))
            asked = Asked.parse(str(data.get("query", "")), self.library, owner)
            if act := str(data.get("act", "")):
                save_remark(data, self.library, request)
                if act == "note":  # the text is on the page already
                    return self._message("Note saved.")
            if not act:  # a run of the case that was left would be drawn below this one
                self.admission.visitors.cancel(request.session_hash or "")
            return self._show(asked, owner, remarked=bool(act))
        except ValueError as error:
            return self._message(str(error))

    def _message(self, text: str) -> Update:
        return {self.parts.message: showing.paragraphs(text)}

    def _show(self, asked: Asked, owner: Owner, remarked: bool) -> Update:
        table = self.library.table(asked.run, owner)
        chosen, summary = self.choose(table, asked.filter)
        page = asked.page
        if asked.case:  # a remark may have moved it out of the filter
            near = [asked.case, *reversed(table.neighbours(asked.filter, asked.case, chosen))]
            page = next((chosen.index(one) // PAGE for one in near if one in chosen), 0)
        on_page = chosen[page * PAGE : (page + 1) * PAGE]
        run = table.run
        thumbnails = {case: self.thumbnail(asked.run, owner, case) for case in on_page}
        listed = (
            html.controls(self.library.names(owner), table, asked.filter),
            html.summary_html(summary) if chosen else "",
            html.pages(run.name, asked.filter, page, len(chosen), PAGE),
            html.cards(table, asked.filter, on_page, thumbnails, asked.case),
        )
        update = {self.parts.listed: "".join(listed)}
        update |= self._message("Saved." if remarked else sources(run))
        if not asked.case:
            return update | self.parts.close()
        update[self.parts.head] = html.case_head(table, asked.filter, asked.case, chosen)
        return update if remarked else update | self._open(run, asked)

    def _open(self, run: Run, asked: Asked) -> Update:
        """The board of a case; its answers alone where no lane has tokens."""
        head = self.parts.head
        try:
            names, comparison = run.open(asked.case)
        except ValueError as error:
            closed = {key: value for key, value in self.parts.close().items() if key is not head}
            if isinstance(error, MediaError):  # missing, damaged or replaced: nothing to run
                return closed | self._message(str(error))
            advice = f"{error} {AGAIN} to see tokens."
            return closed | self._message(advice) | self._offer(asked)
        lanes = [comparison.lanes[one] for one in self._fitting(names, asked.filter)]
        return self._draw(replace(comparison, lanes=tuple(lanes))) | self._offer(asked)

    def _fitting(self, names: Sequence[str], asked: Filter) -> list[int]:
        """Indices of the lanes that the board has room for: those of the filter first."""
        first = [VANILLA, asked.lane, *asked.wrong, *asked.right]
        order = sorted(range(len(names)), key=lambda index: names[index] not in first)
        return sorted(order[: self.settings.max_lanes])

    def _offer(self, asked: Asked) -> Update:
        return {self.parts.again: gr.Button(visible=True), self.parts.asked: asked.query}

    def _draw(self, comparison: Comparison) -> Update:
        screen = Screen.of_recording(comparison)
        held = self.store.hold(HeldComparison(comparison, screen))
        return showing.finish(self.parts.board, held)

    def run_again(self, query: str, own: str, request: gr.Request) -> Update:
        """Ask the open case again, on this machine and now."""
        try:
            with self.admission.place(request) as place:
                owner = owner_of(request, own)
                asked = Asked.parse(query, self.library, owner)
                run = self.library.run(asked.run, owner)
                case = run.cases[asked.case]
                job = replace(place.read(self._request(run, asked)), truth=case.truth)
                *_, last = (None, *place.run(job))
        except EndedError as ended:
            return self._message(CANCELLED if ended.stopped else ended.describe())
        if not isinstance(last, ComparisonDone):
            return self._message(CANCELLED)
        return self._draw(last.comparison) | self._message("Ran here, just now.")

    def _request(self, run: Run, asked: Asked) -> Request:
        """The request that asks the open case again, with the options of its run."""
        case, (model, lanes, options) = run.cases[asked.case], run.asked_with(asked.case)
        # Imported answers name no model: the default one for the picture runs.
        titles = {title: name for name, title in method_choices(model)} if model else {}
        names, ratio = asked_again(lanes, asked.filter.lane, self.settings.max_lanes, titles)
        numbers = ("max_new_tokens", "temperature", "seed")
        return Request(
            upload=run.media(case),
            question=None if case.locate else case.question,
            locate=case.question if case.locate else "",
            model=model,
            methods=names or None,
            retention_ratio=ratio,
            gaze=gaze_text(options),
            positions=numbering(lanes),
            **{name: options[name] for name in numbers if name in options},
        )

    def _thumbnail(self, name: str, owner: Owner, case_id: str) -> str:
        """A small picture of a case, "" if it is not there."""
        run = self.library.run(name, owner)
        try:
            media = run.media(run.cases[case_id])
        except ValueError:
            return ""
        return data_uri(Image.fromarray(media.frames[-1]), THUMB)


def choose(table: Table, asked: Filter) -> tuple[list[str], dict[str, Any]]:
    """The cases that pass a filter, and their rates."""
    chosen = table.choose(asked)
    return chosen, summarize(table, asked, chosen) if chosen else {}
