"""The left column: what a person sets before a comparison."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.guard.uploads import ClipInput, PictureInput, limits_note
from app.page import lab
from app.page.choices import (
    POSITIONS,
    absent_note,
    answers_note,
    default_lanes,
    method_choices,
    placeholder,
    retention_note,
)
from app.page.inputs import ChoiceInput, ChoicesInput, NumberInput, RangeInput
from app.page.lab import Lab
from app.page.notes import methods_note
from app.request import NOUNS, RATIO, examples_of, first_kind
from app.settings import EXAMPLES, Settings
from models.catalog import ModelCard, find

CHIPS = 6  # questions offered at once


@dataclass(frozen=True)
class Form:
    """The components a comparison reads."""

    kind: gr.Radio  # "image" | "video": the tab that is open
    tabs: gr.Tabs
    tab: dict[str, gr.Tab]
    uploads: dict[str, PictureInput | ClipInput]
    galleries: dict[str, gr.Gallery]
    question: gr.Textbox
    chips: gr.Dataset
    way: gr.Radio  # "methods" | "lab": which of the two says what the lanes are
    ways: dict[str, gr.Tab]
    methods: ChoicesInput
    lab: Lab
    methods_note: gr.HTML
    retention: gr.Slider
    retention_note: gr.HTML
    positions: ChoiceInput
    num_frames: gr.Slider
    max_new_tokens: gr.Slider
    temperature: gr.Slider
    seed: gr.Number
    compare: gr.Button
    stop: gr.Button
    status: gr.HTML


def declare(settings: Settings) -> Form:
    """Lay the column out, top to bottom in the order a person fills it in."""
    card = find(settings.model)
    kind = first_kind(card)
    with gr.Column(elem_id="ask", min_width=280):
        upload_parts = _upload_parts(kind, settings)
        question = gr.Textbox(
            label="Question",
            placeholder=placeholder(kind),
            lines=1,
            max_lines=4,
            info=answers_note(card.name),
            elem_id="question",
        )
        chips = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[],
            visible=False,
            label="Try asking",
            layout="gallery",
            elem_id="chips",
        )
        ways, methods, composed, note = _lane_parts(card, kind, settings)
        retention, retained = _retention_parts(card)
        note.render()  # below: the ratio is asked for, this is only read
        composed.note.render()
        advanced = _advanced(card, kind, settings)
        actions = _actions()
        opened, way = _opened(["image", "video"], kind), _opened(["methods", "lab"], "methods")
    return Form(
        opened,
        *upload_parts,
        question,
        chips,
        way,
        ways,
        methods,
        composed,
        note,
        retention,
        retained,
        *advanced,
        *actions,
    )


def _opened(tabs: list[str], first: str) -> gr.Radio:
    """Which tab is open, on the page itself: a state of the server's may be forgotten."""
    return gr.Radio(tabs, value=first, visible=False)


def _upload_parts(kind: str, settings: Settings) -> tuple:
    """A tab a kind, each with its input and its examples."""
    tab, uploads, galleries = {}, {}, {}
    with gr.Tabs(selected=kind, elem_id="kind") as tabs:
        for name, heading in (("image", "Image"), ("video", "Video")):
            with gr.Tab(heading, id=name) as tab[name]:
                uploads[name] = _picture() if name == "image" else _clip()
                gr.HTML(limits_note(name, settings), elem_classes="most", apply_default_css=False)
                galleries[name] = _gallery(name)
    return tabs, tab, uploads, galleries


def _picture() -> PictureInput:
    return PictureInput(
        label="Picture",
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        buttons=[],
        height=170,
        placeholder="Drop, paste or choose a picture",
        elem_id="picture",
        alt_text="The picture the question is about",
    )


def _clip() -> ClipInput:
    return ClipInput(
        label="Clip",
        sources=["upload"],
        buttons=[],
        height=190,
        loop=True,
        elem_id="clip",
    )


def _gallery(kind: str) -> gr.Gallery:
    offered = examples_of(kind)
    return gr.Gallery(
        value=[(str(EXAMPLES / example["file"]), _caption(example)) for example in offered],
        label=f"Example {NOUNS[kind]}s",
        show_label=False,
        format="jpeg",
        columns=4,
        height="auto",
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        buttons=[],
        visible=bool(offered),
        elem_id="examples" if kind == "image" else "clips",
        elem_classes="examples",
    )


def _lane_parts(card: ModelCard, kind: str, settings: Settings) -> tuple:
    """Whole methods, or parts put together: a tab each; and what is said of the methods."""
    chosen, ways = default_lanes(card.name, kind, settings.max_lanes), {}
    with gr.Tabs(selected="methods", elem_id="way"):
        with gr.Tab("Methods", id="methods") as ways["methods"]:
            methods = ChoicesInput(
                choices=[(title, name) for name, title in method_choices(card.name)],
                value=chosen,
                label=f"Methods beside vanilla, at most {settings.max_lanes - 1}",
                elem_id="methods",
            )
        with gr.Tab("Lab", id="lab") as ways["lab"]:
            composed = lab.declare(kind, settings)
    note = gr.HTML(
        methods_note(chosen),
        elem_id="methods-note",
        elem_classes="method-notes",
        apply_default_css=False,
        render=False,
    )
    return ways, methods, composed, note


def _retention_parts(card: ModelCard) -> tuple[gr.Slider, gr.HTML]:
    retention = RangeInput(0.05, 1, RATIO, step=0.001, label="Retention ratio", elem_id="retention")
    note = gr.HTML(
        retention_note(RATIO, card.name), elem_id="retention-note", apply_default_css=False
    )
    return retention, note


def _advanced(card: ModelCard, kind: str, settings: Settings) -> tuple:
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        positions = ChoiceInput(
            list(POSITIONS),
            value="published",
            label="Positions",
            info="How survivors are numbered for rotary embedding; in the Lab a lane has its own",
        )
        num_frames = RangeInput(
            1,
            settings.max_frames,
            card.frames,
            step=1,
            label="Frames",
            info="Sampled evenly over the clip",
            visible=kind == "video",
            elem_id="num-frames",
        )
        most = settings.max_new_tokens
        max_new_tokens = RangeInput(1, most, min(64, most), step=1, label="Max new tokens")
        temperature = RangeInput(
            0, 2, 0, step=0.05, label="Temperature", info="0 takes the likeliest token each time"
        )
        seed = NumberInput(
            0, precision=0, label="Seed", info="Used when the temperature is above 0"
        )
        gr.HTML(absent_note(), elem_id="absent", apply_default_css=False)
    return positions, num_frames, max_new_tokens, temperature, seed


def _actions() -> tuple[gr.Button, gr.Button, gr.HTML]:
    with gr.Column(elem_id="act"):
        with gr.Row(elem_id="buttons"):
            compare = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
            stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=60)
        status = gr.HTML(elem_id="status", apply_default_css=False)
    return compare, stop, status


def _caption(example: dict) -> str:
    return example.get("title") or example["questions"][0]["question"]


def chips_of(example: dict | None) -> gr.Dataset:
    """The questions of an example; for somebody's own upload there are none to offer."""
    known = [] if example is None else example["questions"]
    return gr.Dataset(samples=[[one["question"]] for one in known[:CHIPS]], visible=bool(known))
