"""The right side: lanes, charts and figures, all declared once and filled as a job goes on."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page import inspector
from app.page.held import holder
from app.page.inspector import Inspector
from app.settings import Settings

SAVE = "Download recording"
VIEWS = [
    ("Tokens at end", "tokens"),
    ("Tokens into LLM", "into"),
    ("Boxes", "boxes"),
    ("Picture", "picture"),
]
EMPTY = """<section class="empty"><h2>What did compression do to the picture and the answer?</h2>
<ol><li>Choose an example, or bring your own picture or clip and a question.</li>
<li>Compare: the same model answers with all its visual tokens, and again with each method.</li>
<li>Read the answers side by side, see what became of every token, and where the time went.</li>
</ol>
<dl><dt><i class="key kept"></i>kept</dt><dd>the visual token goes on as itself</dd>
<dt><i class="key merged"></i>merged</dt><dd>it is part of a survivor, whose colour it takes</dd>
<dt><i class="key dropped"></i>dropped</dt><dd>nothing of it is left</dd></dl></section>"""


@dataclass(frozen=True)
class Board:
    """The components a comparison writes."""

    outside: gr.HTML  # said of a question that the model was not trained on
    empty: gr.HTML
    bar: gr.Row
    view: gr.Radio
    columns: list[gr.Column]
    parts: dict[str, gr.HTML]  # "text0", "picture0", …
    results: gr.Column
    latency: gr.Plot
    staircase: gr.Plot
    over_time: gr.Column
    clip_timeline: gr.Plot
    inspector: Inspector
    figures: gr.HTML
    conditions: gr.HTML
    save: gr.Button
    file: gr.DownloadButton
    comparison: gr.State  # the record behind what is shown


def declare(settings: Settings) -> Board:
    """Lay the board out: an empty state, up to four lanes, and what is known at the end."""
    columns, parts = [], {}
    with gr.Column(elem_id="board", min_width=280):
        outside = _announced("outside")
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
    return Board(outside, empty, bar, view, columns, parts, *results, holder())


def _announced(name: str) -> gr.HTML:
    """Text that a screen reader says when it comes: the region is there before its words are."""
    region = "element.setAttribute('role', 'status')"
    return gr.HTML("", elem_id=name, apply_default_css=False, js_on_load=region)


def _results() -> tuple:
    """The column of results and what is in it, in the order of `Board`."""
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
    return (
        *(results, latency, staircase, over_time, timeline),
        *(inspect, figures, conditions, save, file),
    )


def _chart(heading: str, name: str) -> tuple[gr.Column, gr.Plot]:
    with gr.Column(min_width=0) as column:
        gr.HTML(f"<h2>{heading}</h2>", apply_default_css=False)
        return column, gr.Plot(label=heading, show_label=False, elem_id=name)
