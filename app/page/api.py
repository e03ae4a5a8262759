"""The same comparison for programs: one public endpoint, `/compare`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr

from app.guard.blocks import refusal
from app.guard.uploads import PictureInput
from app.guard.visitors import Visitors, address
from app.page.handlers import in_words, read_as
from app.page.inputs import NumberInput
from app.render.summary import conditions_line, lane_rows
from app.request import RATIO, read_job
from app.settings import Settings
from app.worker.events import ComparisonDone, Event
from app.worker.protocol import AdmittingWorker, Job, new_number
from models.catalog import find


def compare_endpoint(
    worker: AdmittingWorker, settings: Settings, visitors: Visitors, **device: Any
) -> None:
    """Declare `/compare`. Its components are never shown; they type the endpoint's arguments."""
    with gr.Column(visible=False):
        inputs = [
            PictureInput(type="filepath", label="upload"),
            gr.Textbox(label="question"),
            gr.Textbox("", label="model"),
            gr.JSON(None, label="methods"),
            NumberInput(RATIO, label="retention_ratio"),
            NumberInput(64, precision=0, label="max_new_tokens"),
            NumberInput(0.0, label="temperature"),
            NumberInput(0, precision=0, label="seed"),
            gr.Textbox("published", label="positions"),
            NumberInput(None, precision=0, label="num_frames"),
        ]
        result = gr.JSON(label="comparison")
        trigger = gr.Button()
    run = Endpoint(worker, settings, visitors).compare
    trigger.click(run, inputs, result, api_name="compare", show_progress="hidden", **device)


class Endpoint:
    """What stands behind `/compare`."""

    def __init__(
        self, worker: AdmittingWorker, settings: Settings, visitors: Visitors | None = None
    ) -> None:
        self.worker, self.settings = worker, settings
        self.visitors = visitors or Visitors()

    def compare(
        self,
        upload: str,
        question: str,
        model: str = "",
        methods: Sequence[str] | None = None,
        retention_ratio: float = RATIO,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int = 0,
        positions: str = "published",
        num_frames: int | None = None,
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Ask one question about a picture or clip, of vanilla and of each method, on one model.

        Args:
            upload: The picture or clip, a file.
            question: What to ask about it.
            model: Name of the model; left out, the one that takes such an upload.
            methods: Names of up to three methods, or of parts composed, such as
                visionzip.before+fastv.inner+rpme; vanilla is always the first lane. Left out, the
                page's own for such an upload.
            retention_ratio: Visual tokens averaged over LLM layers, over all visual tokens.
            max_new_tokens: The longest answer.
            temperature: 0 takes the likeliest token each time; above 0 samples with the seed.
            seed: Seed of the sampling.
            positions: How survivors are numbered: published, perc, pesp, rpme or rpme_affine.
            num_frames: Of a clip; left out, as many as the model was made for.

        Returns:
            `lanes`, a row of figures and the answer for each lane in order, vanilla first;
            `conditions`, the device, number format and versions under which times were measured;
            and `note`, which says so where the model was not trained on such a question, or "".
        """
        names = [methods] if isinstance(methods, str) else methods
        reading = partial(
            read_job,
            upload,
            question,
            model,
            names,
            retention_ratio,
            positions=positions or "published",
            num_frames=num_frames,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            settings=self.settings,
        )
        return self._answer(reading, request)

    def _answer(self, reading: Callable[..., Job], request: gr.Request | None) -> dict[str, Any]:
        """What a program is told, or a refusal."""
        number = new_number()
        try:
            job, last = self._answered(reading, number, request)
        except Exception as error:
            raise refusal(in_words(error, number)) from error
        if not isinstance(last, ComparisonDone):
            raise refusal("The comparison was stopped, because whoever asked has left.")
        return {
            "lanes": lane_rows(last.comparison),
            "conditions": conditions_line(last.comparison),
            "note": find(job.model).note_on(job.question),
        }

    def _answered(
        self, reading: Callable[..., Job], number: str, request: gr.Request | None
    ) -> tuple[Job, Event | None]:
        """What was asked, and the last event of it."""
        visitor = request.session_hash if request else ""
        with (
            self.visitors.job(visitor) as cancelled,
            self.worker.admit(visitor, address(request), number) as run,
        ):
            job = read_as(visitor, number, reading, cancelled)
            *_, last = (None, *run(job, cancelled))
        return job, last
