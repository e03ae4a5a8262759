"""The left column: the inputs of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from typing import Any

import gradio as gr

from app.guard.uploads import ClipInput, PictureInput, limits_note
from app.jobs import first_kind
from app.page import fresh, gallery, gaze, lab, menu
from app.page.choices import (
    absent_note,
    answers_note,
    default_lanes,
    method_choices,
    model_choices,
    placeholder,
    retention_note,
)
from app.page.fresh import Fresh
from app.page.inputs import ChoiceInput, ChoicesInput, NumberInput, declared, slider
from app.page.lab import Lab, composed_names
from app.page.notes import methods_note
from app.request import DEFAULTS, POSITIONS, Request
from app.settings import Settings
from models.catalog import ModelCard, find

PLAIN: dict[str, Any] = {"elem_classes": "most", "apply_default_css": False}
CHIPS = 6  # most example questions on offer


@dataclass(frozen=True)
class Form:
    """The components of the form; those named like fields of `Request` hold their values."""

    model: ChoiceInput
    kind: gr.Radio  # "image" | "video": the open tab
    tabs: gr.Tabs
    tab: dict[str, gr.Tab]
    uploads: dict[str, PictureInput | ClipInput]
    galleries: dict[str, gr.HTML]
    fresh: dict[str, Fresh]
    question: gr.Textbox
    chips: gr.Dataset
    way: gr.Radio  # "methods" | "lab": which of the two tabs defines the lanes
    ways: dict[str, gr.Tab]
    methods: ChoicesInput
    menu: gr.HTML  # the methods as chips
    gaze: gr.HTML  # where the person looks, if a method needs it
    lab: Lab
    methods_note: gr.HTML
    retention_ratio: gr.Slider
    retention_note: gr.HTML
    positions: ChoiceInput
    num_frames: gr.Slider
    max_new_tokens: gr.Slider
    temperature: gr.Slider
    seed: gr.Number
    answers: gr.HTML  # the questions that the model was trained for
    fold: gr.Checkbox  # whether only the buttons of the form are seen
    compare: gr.Button
    sweep: gr.Button
    stop: gr.Button
    status: gr.HTML

    @property
    def by_field(self) -> dict[str, Any]:
        """The components of the request's fields, by name. The upload has one per kind."""
        names = [one.name for one in fields(Request)]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def values(self) -> list[Any]:
        """The components that `request` reads."""
        parts = [*self.by_field.values(), *self.uploads.values(), *self.lab.selectors]
        return [self.kind, self.way, *parts]

    def request(self, values: dict[Any, Any]) -> Request:
        """The request of a person; `values` are those of `values()`, by component."""
        sent = {name: values[part] for name, part in self.by_field.items()}
        if values[self.way] == "lab":  # its lanes name their positions
            sent["methods"] = composed_names(self.lab.chosen(values))
            sent["positions"] = DEFAULTS["positions"]
        clip = values[self.kind] == "video"
        if not clip:
            sent["num_frames"] = None
        if not gaze.wanted(values[self.kind], sent["methods"]):
            sent["gaze"] = DEFAULTS["gaze"]
        return Request(upload=values[self.uploads["video" if clip else "image"]], **sent)


def declare(settings: Settings) -> Form:
    """Lay the column out, top to bottom in the order a person fills it in."""
    card = find(settings.model)
    kind = first_kind(card)
    with gr.Column(elem_id="ask", min_width=280):
        model = ChoiceInput(
            model_choices(settings.model), value=settings.model, label="Model", elem_id="model"
        )
        parts = {"model": model, **_upload_parts(kind, settings)}
        parts["question"] = gr.Textbox(
            label="Question",
            placeholder=placeholder(kind),
            lines=1,
            max_lines=4,
            elem_id="question",
        )
        parts["chips"] = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[],
            visible=False,
            label="Try asking",
            layout="gallery",
            elem_id="chips",
        )
        parts |= _retention_parts(card, settings)
        parts |= _lane_parts(card, kind, settings)
        parts["gaze"] = gaze.declare()
        parts["methods_note"].render()  # below what a person sets, because it is only read
        parts["lab"].note.render()
        parts |= _advanced(card, kind, settings)
        parts |= _actions()
        parts["kind"] = _open_tab(["image", "video"], kind)
        parts["way"] = _open_tab(["methods", "lab"], "methods")
    return Form(**parts)


def _open_tab(tabs: list[str], first: str) -> gr.Radio:
    """Which tab is open. The page keeps it, because the server may forget a `gr.State`."""
    return gr.Radio(tabs, value=first, visible=False)


def _upload_parts(kind: str, settings: Settings) -> dict[str, Any]:
    """A tab for each kind, with its input and examples."""
    tab, uploads, galleries, further = {}, {}, {}, {}
    with gr.Tabs(selected=kind, elem_id="kind") as tabs:
        for name, heading in (("image", "Image"), ("video", "Video")):
            with gr.Tab(heading, id=name) as tab[name]:
                uploads[name] = _picture() if name == "image" else _clip()
                galleries[name] = _gallery(name)
                further[name] = fresh.declare(name)
    parts = {"tabs": tabs, "tab": tab, "uploads": uploads, "galleries": galleries}
    return parts | {"fresh": further}


def _picture() -> PictureInput:
    return PictureInput(
        label="Picture",
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        buttons=[],
        height=104,
        placeholder="Drop, paste or choose a picture",
        elem_id="picture",
        alt_text="The picture the question is about",
    )


def _clip() -> ClipInput:
    return ClipInput(
        label="Clip",
        sources=["upload"],
        buttons=[],
        height=104,
        loop=True,
        elem_id="clip",
    )


def _gallery(kind: str) -> gr.HTML:
    return gr.HTML(
        gallery.gallery(kind),
        js_on_load=gallery.JS,
        apply_default_css=False,
        elem_id="examples" if kind == "image" else "clips",
        elem_classes="examples",
    )


def _lane_parts(card: ModelCard, kind: str, settings: Settings) -> dict[str, Any]:
    """A tab for whole methods and one for composed parts, and the note on the methods."""
    chosen, ways = default_lanes(card.name, kind, settings.max_lanes), {}
    with gr.Tabs(selected="methods", elem_id="way"):
        with gr.Tab("Methods", id="methods") as ways["methods"]:
            methods = ChoicesInput(
                choices=[(title, name) for name, title in method_choices(card.name)],
                value=chosen,
                visible=False,  # holds the names; the menu is what a person sees
            )
            chips = gr.HTML(
                menu.menu(
                    card.name, chosen, DEFAULTS["retention_ratio"], most=settings.max_lanes - 1
                ),
                js_on_load=menu.JS,
                apply_default_css=False,
                elem_id="methods",
            )
        with gr.Tab("Lab", id="lab") as ways["lab"]:
            parts = lab.declare(kind, settings)
    note = gr.HTML(
        methods_note(chosen),
        elem_id="methods-note",
        elem_classes="method-notes",
        apply_default_css=False,
        render=False,
    )
    return {"ways": ways, "methods": methods, "menu": chips, "lab": parts, "methods_note": note}


def _retention_parts(card: ModelCard, settings: Settings) -> dict[str, Any]:
    ratio = slider("retention_ratio", settings, info=None, elem_id="retention")  # the note says it
    note = retention_note(ratio.value, card.name)
    return {
        "retention_ratio": ratio,
        "retention_note": gr.HTML(note, elem_id="retention-note", apply_default_css=False),
    }


def _advanced(card: ModelCard, kind: str, settings: Settings) -> dict[str, Any]:
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        parts = {
            "positions": ChoiceInput(
                list(POSITIONS),
                value=DEFAULTS["positions"],
                label="Position ids of survivors",
                info="The numbers that tell the LLM where a token stands (rotary embedding). In "
                "the Lab, each lane has its own",
            ),
            "num_frames": slider(
                "num_frames",
                settings,
                value=card.frames,
                visible=kind == "video",
                elem_id="num-frames",
            ),
            "max_new_tokens": slider("max_new_tokens", settings),
            "temperature": slider("temperature", settings),
            "seed": NumberInput(DEFAULTS["seed"], precision=0, **declared("seed")),
            "answers": gr.HTML(note_on_answers(card.name), **PLAIN),
        }
        for name in ("image", "video"):
            gr.HTML(limits_note(name, settings), **PLAIN)
        gr.HTML(absent_note(), elem_id="absent", apply_default_css=False)
    return parts


def _actions() -> dict[str, Any]:
    with gr.Column(elem_id="act"):
        with gr.Row(elem_id="buttons"):
            compare = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
            sweep = gr.Button("Sweep", elem_id="sweep-start", min_width=60)
            stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=60)
            fold = gr.Checkbox(
                False,
                label="Hide form",
                container=False,
                interactive=True,
                min_width=0,
                elem_id="fold",
            )
        status = gr.HTML(elem_id="status", apply_default_css=False)
    return {
        "fold": fold,
        "compare": compare,
        "sweep": sweep,
        "stop": stop,
        "status": status,
    }


def note_on_answers(model: str) -> str:
    return f"<p>{escape(answers_note(model))}</p>"


def chips_of(example: dict | None) -> gr.Dataset:
    """The questions of an example; None stands for a person's own upload, which has none."""
    questions = [] if example is None else example["questions"]
    samples = [[one["question"]] for one in questions[:CHIPS]]
    return gr.Dataset(samples=samples, visible=bool(samples))
