"""The components of an analysis, below the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import gradio as gr

from app.page import analysis_html as html
from app.page.board import Board
from app.page.chart import Chart
from app.page.held import comparison_state
from app.render.measures import MEASURES
from app.settings import Settings

SAVE = "Download numbers and charts"
CHARTS = [  # name of a measure, and whether of the encoder
    (name, encoder)
    for name, encoder in product(MEASURES, (False, True))
    if not encoder or MEASURES[name].encoder
]


@dataclass(frozen=True)
class AnalysisPart:
    """The components of an analysis."""

    button: gr.Button
    column: gr.Column
    heading: gr.HTML
    lanes: list[gr.HTML]
    object: gr.HTML  # the form for its box
    measures: list[gr.Column]
    charts: list[Chart]
    blocking: gr.HTML
    conditions: gr.HTML
    save: gr.Button
    file: gr.DownloadButton
    held: gr.State  # the HeldComparison that was analysed

    @property
    def outputs(self) -> list[Any]:
        texts = [self.heading, self.object, self.blocking, self.conditions]
        shown = [*texts, *self.lanes, *self.measures, *self.charts, self.save]
        return [self.column, self.held, *shown]


def declare(board: Board, settings: Settings) -> AnalysisPart:
    """Lay the results out inside `board.analysis`, and the button above the lanes."""
    with board.tools:
        button = gr.Button("Analyse", size="sm", elem_id="analyse", elem_classes="quiet")
    plain: dict[str, Any] = {"apply_default_css": False}
    measures, charts = [], []
    with board.analysis as column:
        heading = gr.HTML(elem_id="analysis-heading", **plain)
        with gr.Row(elem_id="analysis-body"):
            with gr.Column(elem_id="analysis-maps", min_width=0):
                gr.HTML(html.CURSOR, elem_id="analysis-cursor", **plain)
                with gr.Row(elem_id="analysis-lanes"):
                    lanes = [
                        gr.HTML(visible=False, elem_classes="analysis-lane", **plain)
                        for _ in range(settings.max_lanes)
                    ]
                sent = gr.HTML(elem_id="analysis-object", js_on_load=html.OBJECT_JS, **plain)
            with gr.Column(elem_id="analysis-measures", min_width=0):
                for name, encoder in CHARTS:
                    with gr.Column(visible=False, min_width=0, elem_classes="measure") as one:
                        gr.HTML(html.measure_text(name, encoder), **plain)
                        charts.append(Chart(label=MEASURES[name].title, show_label=False))
                    measures.append(one)
        blocking = gr.HTML(elem_id="analysis-blocking", js_on_load=html.CELL_JS, **plain)
        with gr.Row(elem_id="analysis-foot"):
            conditions = gr.HTML(elem_id="analysis-conditions", **plain)
            save = gr.Button(SAVE, size="sm", elem_id="analysis-save", elem_classes="quiet")
            file = gr.DownloadButton(visible="hidden", elem_id="analysis-file")
    parts = (button, column, heading, lanes, sent, measures, charts, blocking)
    return AnalysisPart(*parts, conditions, save, file, comparison_state())
