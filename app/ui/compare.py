"""The Compare view: declare the components, then wire them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.request import examples
from app.settings import EXAMPLES, Settings
from app.ui import board, form
from app.ui.handlers import Handlers, alert
from app.worker.protocol import Worker

DEVICE = {"concurrency_id": "device", "concurrency_limit": 1}  # on every listener that uses it
QUIET = {"show_progress": "hidden", "api_visibility": "private", "queue": False}


def compare_view(worker: Worker, settings: Settings, model: gr.Dropdown) -> None:
    """Build the view inside the current `gr.Blocks` and connect it to `worker`."""
    with gr.Row(elem_id="main", equal_height=False):
        asked = form.declare(settings)
        shown = board.declare(settings)
    _wire_form(asked, model, settings)
    handlers = Handlers(worker, settings, asked, shown)
    _wire_job(handlers, asked, model)
    shown.save.click(
        handlers.keep,
        shown.comparison,
        [shown.save, shown.file],
        show_progress="hidden",
        api_visibility="private",
    ).then(None, js="() => window.tokenscope.press('file')", api_visibility="private")


def _wire_form(asked: form.Form, model: gr.Dropdown, settings: Settings) -> None:
    def choose_example(event: gr.SelectData) -> dict[Any, Any]:
        example = examples()[event.index]
        return {
            asked.picture: str(EXAMPLES / example["file"]),
            asked.question: example["questions"][0]["question"],
            asked.chips: form.chips_of(event.index),
        }

    def choose_methods(chosen: list[str]) -> dict[Any, Any]:
        kept = chosen[: settings.max_lanes - 1]
        update: dict[Any, Any] = {asked.methods_note: form.methods_note(kept)}
        if kept != chosen:
            update[asked.methods] = gr.CheckboxGroup(value=kept)
            update[asked.status] = alert(f"{len(kept)} methods fit; clear one to choose another.")
        return update

    def choose_model(name: str, ratio: float, chosen: list[str]) -> dict[Any, Any]:
        offered = form.method_choices(name)
        kept = [method for method in chosen if method in dict(offered)]
        return {
            asked.methods: gr.CheckboxGroup([(t, n) for n, t in offered], value=kept),
            asked.question: gr.Textbox(info=form.answers_note(name)),
            asked.retention_note: form.retention_note(ratio, name),
        }

    asked.gallery.select(
        choose_example, None, [asked.picture, asked.question, asked.chips], **QUIET
    )
    asked.picture.upload(lambda: form.chips_of(None), None, asked.chips, **QUIET)
    asked.chips.click(lambda sample: sample[0], asked.chips, asked.question, **QUIET)
    asked.methods.input(
        choose_methods,
        asked.methods,
        [asked.methods, asked.methods_note, asked.status],
        **QUIET,
    )
    asked.retention.change(
        form.retention_note, [asked.retention, model], asked.retention_note, **QUIET
    )
    model.change(
        choose_model,
        [model, asked.retention, asked.methods],
        [asked.question, asked.retention_note, asked.methods],
        **QUIET,
    )


def _wire_job(handlers: Handlers, asked: form.Form, model: gr.Dropdown) -> None:
    inputs = [
        asked.picture,
        asked.question,
        model,
        asked.methods,
        asked.retention,
        asked.positions,
        asked.max_new_tokens,
        asked.temperature,
        asked.seed,
    ]
    outputs = handlers.outputs()
    job = gr.on(
        [asked.compare.click, asked.question.submit],
        handlers.run,
        inputs,
        outputs,
        show_progress="minimal",
        show_progress_on=asked.status,
        trigger_mode="once",
        api_visibility="private",
        **DEVICE,
    )
    asked.stop.click(
        handlers.stop,
        None,
        outputs,
        cancels=[job],
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )
