"""The right column: lanes, charts, figures and the inspector."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page import inspector
from app.page.chart import Chart
from app.page.held import comparison_state
from app.page.inspector import Inspector
from app.settings import Settings

SAVE = "Download recording"
VIEWS = [
    ("Tokens at end", "tokens"),
    ("Tokens into LLM", "into"),
    ("Boxes", "boxes"),
    ("Picture", "picture"),
]
EMPTY = """<section class="empty"><h2>What does compression do to the picture and the answer?</h2>
<ol><li>Choose an example, or upload a picture or a clip and type a question.</li>
<li>Press Compare. The same model answers with all visual tokens, and again with each method.</li>
<li>Compare the answers, the fate of every visual token, and the time of each phase.</li>
</ol>
<dl><dt><i class="key kept"></i>kept</dt><dd>the visual token stays as it is</dd>
<dt><i class="key merged"></i>merged</dt><dd>the token is part of a survivor and has its colour</dd>
<dt><i class="key dropped"></i>dropped</dt><dd>the token is removed</dd></dl></section>"""


@dataclass(frozen=True)
class Board:
    """The components a comparison writes."""

    outside: gr.HTML  # note on a question that the model was not trained on
    empty: gr.HTML
    bar: gr.Row
    view: gr.Radio
    columns: list[gr.Column]
    parts: dict[str, gr.HTML]  # "text0", "picture0", …
    results: gr.Column
    latency: Chart
    staircase: Chart
    over_time: gr.Column
    clip_timeline: Chart
    inspector: Inspector
    figures: gr.HTML
    conditions: gr.HTML
    save: gr.Button
    file: gr.DownloadButton
    comparison: gr.State  # the HeldComparison of the lanes on the page


def declare(settings: Settings) -> Board:
    """Declare the components: a welcome text, the lanes, and the results."""
    columns, parts = [], {}
    with gr.Column(elem_id="board", min_width=280):
        # The empty element exists before its text: screen readers announce changes only.
        region = "element.setAttribute('role', 'status')"
        outside = gr.HTML("", elem_id="outside", apply_default_css=False, js_on_load=region)
        empty = gr.HTML(EMPTY, elem_id="empty", apply_default_css=False)
        with gr.Row(visible=False, elem_id="lanes-bar") as bar:
            view = gr.Radio(
                VIEWS,
                value="tokens",
                label="Show in every lane",
                container=False,
                interactive=True,
                elem_id="view",
            )
        with gr.Row(elem_id="lanes"):
            for index in range(settings.max_lanes):
                with gr.Column(visible=False, elem_classes="lane-column", min_width=0) as column:
                    for kind in ("text", "picture"):
                        parts[f"{kind}{index}"] = gr.HTML(
                            elem_classes=f"lane-{kind}", apply_default_css=False
                        )
                columns.append(column)
        results = _results()
    return Board(outside, empty, bar, view, columns, parts, *results, comparison_state())


def _results() -> tuple:
    """The column of results and its components, in the order of `Board`."""
    with gr.Column(visible=False, elem_id="results") as results:
        with gr.Row(elem_id="charts"):
            _, latency = _chart("Time, one clock per lane", "latency")
            _, staircase = _chart("Visual tokens per LLM layer", "staircase")
            over_time, timeline = _chart("Visual tokens and segments over the clip", "timeline")
        inspect = inspector.declare()
        figures = gr.HTML(elem_id="figures", apply_default_css=False)
        with gr.Row(elem_id="foot"):
            conditions = gr.HTML(elem_id="conditions", apply_default_css=False)
            save = gr.Button(SAVE, size="sm", elem_id="save", elem_classes="quiet")
            file = gr.DownloadButton(visible="hidden", elem_id="file")
    charts = latency, staircase, over_time, timeline
    return results, *charts, inspect, figures, conditions, save, file


def _chart(heading: str, name: str) -> tuple[gr.Column, Chart]:
    with gr.Column(min_width=0) as column:
        gr.HTML(f"<h2>{heading}</h2>", apply_default_css=False)
        return column, Chart(label=heading, show_label=False, elem_id=name)
