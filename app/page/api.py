"""The public endpoint `/compare`: the comparison of the page, for programs."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, replace
from typing import Any

import gradio as gr

from app.guard.blocks import refusal
from app.guard.uploads import PictureInput
from app.guard.visitors import Visitors, client_key
from app.page.handlers import describe_error, read_as
from app.page.inputs import NumberInput
from app.render.summary import conditions_line, lane_rows
from app.request import DEFAULTS, INPUTS, OPTIONS, Request
from app.settings import Settings
from app.worker.events import ComparisonDone, Event
from app.worker.protocol import AdmittingWorker, Job, new_number
from models.catalog import find

FIELDS = ("upload", "question", *OPTIONS)  # of the request, that programs may send
DESCRIPTION = """Ask a model one question about a picture or clip: vanilla, then with each method.

Args:
{arguments}

Returns:
    `lanes`: a row of figures with the answer for each lane, vanilla first.
    `conditions`: device, number format and versions of the measured times.
    `note`: a warning if the model was not trained on such a question, or "".
"""


def compare_endpoint(
    worker: AdmittingWorker, settings: Settings, visitors: Visitors, **device: Any
) -> None:
    """Declare `/compare`. Its hidden components give the arguments their types."""
    endpoint = Endpoint(worker, settings, visitors)

    def compare(request: gr.Request, **values: Any) -> dict[str, Any]:
        return endpoint.compare(Request(**values), request)

    # Gradio publishes names and defaults of arguments from the signature, their help from the
    # docstring. Both are made from the fields of `Request`, instead of a list of ten arguments.
    compare.__signature__ = _signature()  # type: ignore[attr-defined]
    lines = (f"    {name}: {INPUTS[name].help}." for name in FIELDS)
    compare.__doc__ = DESCRIPTION.format(arguments="\n".join(lines))
    with gr.Column(visible=False):
        inputs = {name: _component(name) for name in FIELDS}
        result = gr.JSON(label="comparison")
        trigger = gr.Button()
    trigger.click(
        compare,
        inputs_kwargs=inputs,
        outputs=result,
        api_name="compare",
        show_progress="hidden",
        **device,
    )


def _signature() -> inspect.Signature:
    """`(request, *, upload, question, model="", …)`, with the defaults of `Request`."""
    connection = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    fields = inspect.signature(Request).parameters
    return inspect.Signature([connection, *(fields[name] for name in FIELDS)])


def _component(name: str) -> gr.components.Component:
    """The component whose type is that of a field."""
    default = None if DEFAULTS[name] is MISSING else DEFAULTS[name]
    if name == "upload":
        return PictureInput(type="filepath", label=name)
    if name == "methods":
        return gr.JSON(default, label=name)
    if step := INPUTS[name].step:
        return NumberInput(default, precision=0 if step == 1 else None, label=name)
    return gr.Textbox(default, label=name)


class Endpoint:
    """The handler of `/compare`."""

    def __init__(
        self, worker: AdmittingWorker, settings: Settings, visitors: Visitors | None = None
    ) -> None:
        self.worker, self.settings = worker, settings
        self.visitors = visitors or Visitors()

    def compare(self, asked: Request, request: gr.Request | None = None) -> dict[str, Any]:
        """Rows, conditions and note of a comparison. Raises `gr.Error` with one sentence."""
        if isinstance(asked.methods, str):
            asked = replace(asked, methods=[asked.methods])
        asked = replace(asked, positions=asked.positions or DEFAULTS["positions"])
        number = new_number()
        try:
            job, last = self._run(asked, number, request)
        except Exception as error:
            raise refusal(describe_error(error, number)) from error
        if not isinstance(last, ComparisonDone):
            raise refusal("The comparison was stopped, because its caller has left.")
        return {
            "lanes": lane_rows(last.comparison),
            "conditions": conditions_line(last.comparison),
            "note": find(job.model).note_on(job.question, job.drawn),
        }

    def _run(
        self, asked: Request, number: str, request: gr.Request | None
    ) -> tuple[Job, Event | None]:
        """The job and its last event."""
        visitor = request.session_hash if request else ""
        with (
            self.visitors.job(visitor) as cancelled,
            self.worker.admit(visitor, client_key(request), number) as run,
        ):
            job = read_as(visitor, number, asked, self.settings, cancelled)
            *_, last = (None, *run(job, cancelled))
        return job, last
