"""The right column: what was asked, the headline, lanes, charts, figures and the inspector."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.guard.uploads import RecordingInput
from app.page import history, inspector, keeping
from app.page.chart import Chart
from app.page.held import comparison_state
from app.page.inspector import Inspector
from app.page.keeping import ADD, Keeping
from app.settings import Settings

STALE = '<p role="status">Shows the previous comparison. The form has changed: press Compare.</p>'
SAVE, OPEN = "Download recording", "Open recording"
VIEWS = [
    ("Tokens", "tokens"),
    ("What it looked at", "scores"),
    ("Boxes", "boxes"),
    ("Picture", "picture"),
]
# `tokens_follow.js` sets its range and redraws the lanes.
LAYER = (
    '<label class="layer" title="Tokens that enter this LLM layer" hidden>'
    '<span>Tokens that enter</span><input type="range" min="0" max="1" value="1" '
    'aria-label="LLM layer"><output></output></label>'
)


@dataclass(frozen=True)
class Board:
    """The components that a comparison writes."""

    caption: gr.HTML  # names the picture, the question and the model of what is shown
    headline: gr.HTML  # the outcome in words
    outside: gr.HTML  # note on a question that the model was not trained on
    bar: gr.Row
    view: gr.Radio
    tools: gr.Row  # further buttons of the bar above the lanes
    measure: gr.Button
    keep: gr.Button
    keeping: Keeping  # verdict, tag and note of a comparison that is kept
    columns: list[gr.Column]
    parts: dict[str, gr.HTML]  # "text0", "picture0", …
    sweep: gr.Column  # the same question over several ratios
    analysis: gr.Column  # of the layers of all lanes
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
    open: RecordingInput
    comparison: gr.State  # the HeldComparison of the lanes on the page
    address: gr.Textbox  # of that comparison, for links
    past: gr.Textbox  # addresses of this tab's comparisons, newest first
    history: gr.HTML  # a thumbnail of each


def declare(settings: Settings) -> Board:
    """Declare the components, top to bottom in the order of reading."""
    with gr.Column(elem_id="board", min_width=280):
        with gr.Row(elem_id="shown"):
            parts = {
                "caption": gr.HTML(elem_id="caption", apply_default_css=False),
                "history": gr.HTML(
                    elem_id="history", apply_default_css=False, js_on_load=history.JS
                ),
            }
        gr.HTML(STALE, elem_id="stale", apply_default_css=False)
        parts |= {
            "headline": _announced("headline"),
            "outside": _announced("outside"),
            **_bar(),
            "keeping": keeping.declare(),
            **_lanes(settings),
        }
        parts["analysis"] = gr.Column(visible=False, elem_id="analysis")
        parts |= _results()
        parts["sweep"] = gr.Column(visible=False, elem_id="sweep")  # it may be of another upload
        # Hidden: the page keeps them, because the server may forget a `gr.State`.
        hidden = {name: gr.Textbox(visible=False) for name in ("address", "past")}
    return Board(**parts, **hidden, comparison=comparison_state())


def _announced(name: str) -> gr.HTML:
    """A text that screen readers announce: the empty element exists before its text."""
    region = "element.setAttribute('role', 'status')"
    return gr.HTML("", elem_id=name, apply_default_css=False, js_on_load=region)


def _bar() -> dict:
    with gr.Row(visible=False, elem_id="lanes-bar") as bar:
        view = gr.Radio(
            VIEWS,
            value="tokens",
            label="Show in every lane",
            container=False,
            interactive=True,
            elem_id="view",
        )
        gr.HTML(LAYER, elem_id="layer", apply_default_css=False)
        with gr.Row(elem_id="tools") as tools:
            measure = gr.Button("Measure", size="sm", elem_id="measure", elem_classes="quiet")
            keep = gr.Button(ADD, size="sm", elem_id="keep", elem_classes="quiet")
    return {"bar": bar, "view": view, "tools": tools, "measure": measure, "keep": keep}


def _lanes(settings: Settings) -> dict:
    columns, parts = [], {}
    with gr.Row(elem_id="lanes"):
        for index in range(settings.max_lanes):
            with gr.Column(visible=False, elem_classes="lane-column", min_width=0) as column:
                for kind in ("text", "picture"):
                    parts[f"{kind}{index}"] = gr.HTML(
                        elem_classes=f"lane-{kind}", apply_default_css=False
                    )
            columns.append(column)
    return {"columns": columns, "parts": parts}


def _results() -> dict:
    """The column below the lanes, and its components."""
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
            opened = RecordingInput(
                OPEN, file_types=[".zip"], size="sm", elem_id="open", elem_classes="quiet"
            )
    return {
        "results": results,
        "latency": latency,
        "staircase": staircase,
        "over_time": over_time,
        "clip_timeline": timeline,
        "inspector": inspect,
        "figures": figures,
        "conditions": conditions,
        "save": save,
        "file": file,
        "open": opened,
    }


def _chart(heading: str, name: str) -> tuple[gr.Column, Chart]:
    with gr.Column(min_width=0) as column:
        gr.HTML(f"<h2>{heading}</h2>", apply_default_css=False)
        return column, Chart(label=heading, show_label=False, elem_id=name)
