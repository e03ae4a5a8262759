"""The Compare view: declares the components, then wires them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from app.cases.library import Library
from app.page import analysis, board, form, wiring
from app.page.admission import Admission
from app.page.board import Board
from app.page.download import FILES, wire_download
from app.page.following import Following
from app.page.form import Form
from app.page.handlers import Handlers, describe_size, recording_file
from app.page.held import HeldComparison
from app.page.inspector import Inspector
from app.page.keeping import wire_keeping
from app.page.opening import Opening
from app.settings import Settings

QUIET = {"show_progress": "hidden", "api_visibility": "private", "queue": False}


def compare_view(
    page: gr.Blocks,
    admission: Admission,
    **device: Any,
) -> None:
    """Build the view inside `page` and connect it to the worker."""
    settings = admission.settings
    with gr.Row(elem_id="main", equal_height=False):
        asked = form.declare(settings)
        shown = board.declare(settings)
    follow = Following(asked, settings)
    _wire_form(asked, follow)
    handlers = Handlers(admission, asked, shown)
    _wire_job(handlers, asked, **device)
    wiring.wire_uploads(asked)
    wiring.wire_jobs(admission, asked, shown, **device)
    analysis.wire(admission, asked, shown, handlers.store, **device)
    _wire_opening(page, Opening(follow, handlers))
    wire_inspector(shown.inspector, shown.comparison)
    wire_keeping(shown.keep, shown.keeping, shown.comparison, Library(settings))
    wire_recording(shown, settings)


def wire_recording(board: Board, settings: Settings) -> None:
    """The button that writes the recording of what the board shows."""

    def save_recording(held: HeldComparison | None) -> Iterator[dict[Any, Any]]:
        update: dict[Any, Any] = {}
        for update in recording_file(board, held):
            yield update
        if too_large := describe_size(update[board.file], settings.max_upload_mb):
            gr.Info(too_large, duration=20)

    wire_download(board.save, board.file, save_recording, board.comparison)


def _wire_form(asked: Form, follow: Following) -> None:
    inputs, outputs = follow.inputs(), follow.outputs()
    counted = [asked.retention_ratio, asked.model, asked.num_frames, asked.methods]
    notes = [asked.retention_note, asked.menu]
    for kind, tab in asked.tab.items():
        tab.select(partial(follow.open_tab, kind), inputs, outputs, **QUIET)
        chosen = [asked.uploads[kind], asked.question, asked.chips, asked.retention_ratio]
        asked.galleries[kind].click(
            with_event(partial(follow.choose_example, kind), counted),
            counted,
            [*chosen, *notes, asked.gaze],
            **QUIET,
        )
        new = [asked.chips, asked.gaze]  # those of the upload before would be wrong
        asked.uploads[kind].upload(lambda: (form.chips_of(None), ""), None, new, **QUIET)
    for way, tab in asked.ways.items():
        texts = [asked.way, asked.methods_note, asked.lab.note]
        tab.select(partial(follow.open_way, way), None, texts, **QUIET)
    selectors = asked.lab.selectors
    gr.on(
        [selector.input for selector in selectors],
        follow.choose_part,
        {*selectors, asked.kind, asked.methods},
        [asked.lab.note, asked.gaze],
        **QUIET,
    )
    asked.model.input(follow.choose_model, inputs, outputs, **QUIET)
    asked.chips.select(chosen_question, None, asked.question, **QUIET)
    sent = [*counted, asked.kind, *selectors]
    told = [asked.methods, asked.methods_note, asked.gaze, asked.status, asked.retention_ratio]
    asked.menu.click(
        with_event(follow.choose_methods, sent),
        sent,
        [*notes, *told],
        trigger_mode="multiple",
        **QUIET,
    )
    # Not `change`: an update of several parts would send the methods from before it.
    sliders = [asked.retention_ratio, asked.num_frames]
    moved = [event for slider in sliders for event in (slider.input, slider.release)]
    gr.on(moved, follow.count_tokens, set(counted), notes, **QUIET)


def with_event(
    choose: Callable[[dict[Any, Any], gr.EventData], dict[Any, Any]], parts: Iterable[Any]
) -> Callable[..., dict[Any, Any]]:
    """A handler with the annotation by which Gradio passes the event; `parts` are its inputs."""
    parts = list(parts)

    def handle(event: gr.EventData, *values: Any) -> dict[Any, Any]:
        return choose(dict(zip(parts, values, strict=True)), event)

    return handle


def chosen_question(event: gr.SelectData) -> str:
    return str(event.value[0])


def _wire_opening(page: gr.Blocks, opening: Opening) -> None:
    """A loaded page, the history and files; then the browser learns what form and board hold."""
    board, form, outputs = opening.board, opening.form, opening.outputs()
    address = _address(board)
    loaded = page.load(opening.arrive, address, outputs, js=js("arrived"), **QUIET)
    chosen = board.history.click(opening.choose, board.past, outputs, **QUIET)
    file = board.open.upload(
        opening.open_file,
        [board.past, board.open],
        outputs,
        show_progress="minimal",
        show_progress_on=form.status,
        api_visibility="private",
        **FILES,
    )
    for event in (loaded, chosen, file):
        event.then(None, address, js=js("shown"), api_visibility="private").then(
            None, [form.status, *form.values()], js=js("restored"), api_visibility="private"
        )


def _address(board: Board) -> list[gr.Textbox]:
    return [board.address, board.past]


def js(name: str) -> str:
    """A call of a function of page.js with the inputs of the event."""
    return f"(...values) => window.tokenscope.{name}(...values)"


def wire_inspector(part: Inspector, comparison: gr.State) -> None:
    view = [part.survivor, part.picture, part.words]
    part.lane.input(part.choose_lane, [part.lane, comparison], view, **QUIET)
    chosen = [part.survivor, part.lane, comparison]
    part.survivor.input(part.choose_survivor, chosen, view[1:], **QUIET)
    part.picture.select(part.choose_token, chosen, view, **QUIET)
    wire_download(part.save, part.file, part.save_clip, [part.lane, comparison])


def _wire_job(handlers: Handlers, asked: Form, **device: Any) -> None:
    outputs, sent = handlers.outputs(), [*asked.values(), handlers.board.past]

    def run(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
        yield from handlers.run(request, dict(zip(sent, values, strict=True)))
        yield {asked.status: gr.skip()}  # Gradio sends the last update twice: let it be empty

    job = gr.on(
        [asked.compare.click, asked.question.submit],
        run,
        sent,  # a list, because the browser compares the values in this order
        outputs,
        js=js("asked"),
        show_progress="minimal",
        show_progress_on=asked.status,
        trigger_mode="multiple",  # "once" ignores Enter just after Stop; the handler decides
        api_visibility="private",
        **device,
    )
    address = _address(handlers.board)  # once the page has it: a `then` may come before
    address[0].change(None, address, js=js("shown"), api_visibility="private")
    changed = [part.change for part in asked.values()]
    gr.on(changed, None, asked.values(), js=js("changed"), api_visibility="private")
    asked.stop.click(
        handlers.stop,
        None,
        outputs,
        cancels=[job],
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )
