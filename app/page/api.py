"""The public endpoints `/compare` and `/sweep`: what the page shows, for programs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from app.guard.blocks import refusal
from app.guard.gradio_internals import upload_folder
from app.page import api_inputs
from app.page.admission import Admission, EndedError
from app.recording.drawings import named_pictures
from app.recording.storage import record_of
from app.render.headline import headline
from app.render.summary import conditions_line, lane_rows
from app.render.sweep import Sweep, records, sentences
from app.request import DEFAULTS, OPTIONS, Request
from app.worker.events import ComparisonDone
from app.worker.protocol import Job
from models.catalog import find
from models.engine.record import Comparison

FIELDS = ("upload", "question", *OPTIONS)  # of the request, that programs may send
EXTRAS = ("overlays", "arrays")
COMPARE = """Ask a model one question about a picture or clip: vanilla, then with each method.

Args:
{arguments}

Returns:
    `headline`: the outcome in one sentence.
    `lanes`: a row of figures with the answer for each lane, vanilla first.
    `conditions`: device, number format and versions of the measured times.
    `note`: a warning about the answers, or "".
    `record`: the record.json of the recording.
    `overlays`: for each lane the pictures by kind, if asked for.
    `arrays`: the arrays.npz of the recording by name, if asked for. Step `s` of lane `l` has
        `lanel.steps.anchors`, `rows`, `cols` and `weights`: new[row] += weight × old[col].
"""
SWEEP = """Ask one question with each method at each retention ratio; vanilla runs once.

Args:
{arguments}

Returns:
    `sentences`: down to which ratio each method holds.
    `points`: method, ratio, verdict, IoU and answer of each run, vanilla first.
    `conditions`, `note`, `record`, `overlays` and `arrays`: as `/compare` returns them.
"""


def endpoints(admission: Admission, **device: Any) -> None:
    """Declare both. Their hidden components give the arguments their types."""
    endpoint = Endpoint(admission)
    swept = [name for name in FIELDS if name != "retention_ratio"]
    _declare("compare", endpoint.compare, [*FIELDS, *EXTRAS], COMPARE, **device)
    _declare("sweep", endpoint.sweep, [*swept, "ratios", *EXTRAS], SWEEP, **device)


def _declare(name: str, handler: Any, arguments: list[str], text: str, **device: Any) -> None:
    def call(request: gr.Request, **values: Any) -> dict[str, Any]:
        extras = {extra: values.pop(extra) for extra in api_inputs.EXTRAS if extra in values}
        return handler(Request(**values), request, **extras)

    call.__name__ = name  # of the tool for assistants
    with gr.Column(visible=False):
        inputs = api_inputs.declare(arguments)
        result = gr.JSON(label=name)
        trigger = gr.Button()
    trigger.click(
        api_inputs.signed(call, arguments, text),
        inputs_kwargs=inputs,
        outputs=result,
        api_name=name,
        show_progress="hidden",
        **device,
    )


class Endpoint:
    """The handlers of `/compare` and `/sweep`. They raise `gr.Error` with one sentence."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission

    def compare(
        self,
        asked: Request,
        request: gr.Request | None = None,
        overlays: bool = False,
        arrays: bool = False,
    ) -> dict[str, Any]:
        job, comparison = self._run(asked, request)
        return {
            "headline": headline(comparison),
            "lanes": lane_rows(comparison),
            **_common(job, comparison, overlays, arrays),
        }

    def sweep(
        self,
        asked: Request,
        request: gr.Request | None = None,
        ratios: Any = (),
        overlays: bool = False,
        arrays: bool = False,
    ) -> dict[str, Any]:
        job, comparison = self._run(asked, request, ratios)
        swept = Sweep(comparison, job.ratios)
        return {
            "sentences": sentences(swept),
            "points": records(swept),
            **_common(job, comparison, overlays, arrays),
        }

    def _run(
        self, asked: Request, request: gr.Request | None, ratios: Any = None
    ) -> tuple[Job, Comparison]:
        """The job and its comparison."""
        if isinstance(asked.methods, str):
            asked = replace(asked, methods=[asked.methods])
        asked = replace(asked, positions=asked.positions or DEFAULTS["positions"])
        try:
            with self.admission.place(request) as place:
                job = place.read(asked, ratios)
                *_, last = (None, *place.run(job))
        except EndedError as ended:
            raise refusal(ended.describe()) from ended
        if not isinstance(last, ComparisonDone):
            raise refusal("The comparison was stopped, because its caller has left.")
        return job, last.comparison


def _common(job: Job, comparison: Comparison, overlays: bool, arrays: bool) -> dict[str, Any]:
    record, found = record_of(comparison)
    result = {
        "conditions": conditions_line(comparison),
        "note": find(job.model).note_on(job.question, job.drawn),
        "record": record,
    }
    if overlays:
        result["overlays"] = _files(named_pictures(comparison))
    if arrays:
        result["arrays"] = {name: _plain(values) for name, values in found.items()}
    return result


def _files(lanes: Iterable[dict[str, Image.Image]]) -> list[dict[str, Any]]:
    """For each lane its pictures as files that the client downloads; none for a failed lane."""
    upload_folder().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=upload_folder()))
    files: list[dict[str, Any]] = []
    for number, pictures in enumerate(lanes):
        files.append({})
        for kind, picture in pictures.items():
            path = folder / f"{kind}-{number}.png"
            picture.save(path)
            files[-1][kind] = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    return files


def _plain(values: np.ndarray) -> list[Any]:
    """An array as JSON, where a number that is not finite is null."""
    if values.dtype.kind != "f":
        return values.tolist()
    return np.where(np.isfinite(values), values, None).tolist()
