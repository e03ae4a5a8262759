"""The left column: what a person sets before a comparison, and the choices behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

import gradio as gr

from app.render.summary import percent
from app.request import examples
from app.settings import EXAMPLES, ROOT, Settings
from app.ui.numbers import NumberInput, RangeInput
from app.ui.picture import PictureInput
from models.catalog import find
from pruning.methods import METHODS

DEFAULT_METHODS = ("visionzip", "nuwa", "pooling")
DEFAULT_RATIO = 0.111
CHIPS = 6  # questions offered at once
POSITIONS = (
    ("As published", "published"),
    ("PERC: re-indexed contiguously", "perc"),
    ("PESP: the sparse original ids", "pesp"),
    ("RPME: stretched over the full range", "rpme"),
    ("RPME, affine", "rpme_affine"),
)


@dataclass(frozen=True)
class Form:
    """The components a comparison reads, in the order of `read_job`'s arguments."""

    picture: PictureInput
    gallery: gr.Gallery
    question: gr.Textbox
    chips: gr.Dataset
    methods: gr.CheckboxGroup
    methods_note: gr.HTML
    retention: gr.Slider
    retention_note: gr.HTML
    positions: gr.Dropdown
    max_new_tokens: gr.Slider
    temperature: gr.Slider
    seed: gr.Number
    compare: gr.Button
    stop: gr.Button
    status: gr.HTML


def declare(settings: Settings) -> Form:
    """Lay the column out, top to bottom in the order a person fills it in."""
    with gr.Column(elem_id="ask", min_width=280):
        picture, gallery = _picture_parts()
        question = gr.Textbox(
            label="Question",
            placeholder="Ask something about the picture",
            lines=1,
            max_lines=4,
            info=answers_note(settings.model),
            elem_id="question",
        )
        chips = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[],
            visible=False,
            label="Try asking",
            type="values",
            layout="gallery",
            elem_id="chips",
        )
        methods, methods_note = _method_parts(settings)
        retention, retention_note = _retention_parts(settings)
        methods_note.render()  # below: the ratio is asked for, this is only read
        advanced = _advanced(settings)
        actions = _actions()
    return Form(
        picture,
        gallery,
        question,
        chips,
        methods,
        methods_note,
        retention,
        retention_note,
        *advanced,
        *actions,
    )


def _picture_parts() -> tuple[PictureInput, gr.Gallery]:
    picture = PictureInput(
        label="Picture",
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        buttons=[],
        height=170,
        placeholder="Drop, paste or choose a picture",
        elem_id="picture",
        alt_text="The picture the question is about",
    )
    gallery = gr.Gallery(
        value=[(str(EXAMPLES / example["file"]), _caption(example)) for example in examples()],
        label="Examples",
        show_label=False,
        format="jpeg",
        columns=4,
        height="auto",
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        buttons=[],
        visible=bool(examples()),
        elem_id="examples",
    )
    return picture, gallery


def _method_parts(settings: Settings) -> tuple[gr.CheckboxGroup, gr.HTML]:
    offered = method_choices(settings.model)
    names = [name for name, _ in offered]
    chosen = [name for name in DEFAULT_METHODS if name in names][: settings.max_lanes - 1]
    methods = gr.CheckboxGroup(
        choices=[(title, name) for name, title in offered],
        value=chosen,
        label=f"Methods beside vanilla, at most {settings.max_lanes - 1}",
        elem_id="methods",
    )
    note = gr.HTML(
        methods_note(chosen), elem_id="methods-note", apply_default_css=False, render=False
    )
    return methods, note


def _retention_parts(settings: Settings) -> tuple[gr.Slider, gr.HTML]:
    retention = RangeInput(
        0.05, 1, DEFAULT_RATIO, step=0.001, label="Retention ratio", elem_id="retention"
    )
    note = gr.HTML(
        retention_note(DEFAULT_RATIO, settings.model),
        elem_id="retention-note",
        apply_default_css=False,
    )
    return retention, note


def _advanced(settings: Settings) -> tuple[gr.Dropdown, gr.Slider, gr.Slider, gr.Number]:
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        positions = gr.Dropdown(
            list(POSITIONS),
            value="published",
            label="Positions",
            info="How survivors are numbered for rotary embedding",
        )
        most = settings.max_new_tokens
        max_new_tokens = RangeInput(1, most, min(64, most), step=1, label="Max new tokens")
        temperature = RangeInput(
            0, 2, 0, step=0.05, label="Temperature", info="0 takes the likeliest token each time"
        )
        seed = NumberInput(
            0, precision=0, label="Seed", info="Used when the temperature is above 0"
        )
    return positions, max_new_tokens, temperature, seed


def _actions() -> tuple[gr.Button, gr.Button, gr.HTML]:
    with gr.Column(elem_id="act"):
        with gr.Row(elem_id="buttons"):
            compare = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
            stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=60)
        status = gr.HTML(elem_id="status", apply_default_css=False)
    return compare, stop, status


def _caption(example: dict) -> str:
    return example.get("title") or example["questions"][0]["question"]


@lru_cache
def method_choices(model: str) -> tuple[tuple[str, str], ...]:
    """(what `create` takes, what a person reads) of all but vanilla that a model can run."""
    choices = []
    for method in METHODS:
        if not method.media & find(model).media:
            continue
        for index, preset in enumerate(method.PRESETS):
            name = f"{method.name}:{preset}" if index else method.name
            title = f"{method.title}, {preset}" if len(method.PRESETS) > 1 else method.title
            if method.name != "vanilla":
                choices.append((name, title))
    return tuple(choices)


def methods_note(chosen: Sequence[str]) -> str:
    """What the chosen methods do, a sentence each."""
    summaries = {method.name: (method.title, method.summary) for method in METHODS}
    lines = []
    for name in dict.fromkeys(choice.split(":")[0] for choice in chosen):
        title, summary = summaries[name]
        lines.append(f"<div><dt>{escape(title)}</dt><dd>{escape(summary)}</dd></div>")
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def retention_note(ratio: float | None, model: str) -> str:
    """The ratio as a count of visual tokens, where the model's count is fixed."""
    if not isinstance(ratio, (int, float)) or not 0 < ratio <= 1:
        return "<p>above 0, at most 1</p>"  # half-typed
    total = visual_tokens(model)
    if total is None:
        return f"<p>{percent(ratio)} of the visual tokens, averaged over LLM layers</p>"
    return (
        f"<p>= <b>{round(ratio * total)}</b> of {total} visual tokens, averaged over LLM layers</p>"
    )


@lru_cache
def visual_tokens(model: str) -> int | None:
    """How many visual tokens the model makes of any picture, if its own files say so."""
    config = ROOT / find(model).source / "config.json"
    vision = json.loads(config.read_text()).get("vision_config", {}) if config.is_file() else {}
    if not {"image_size", "patch_size"} <= set(vision):
        return None
    return (vision["image_size"] // vision["patch_size"]) ** 2


def answers_note(model: str) -> str:
    """What the model was made for, so that nobody asks it for more."""
    card = find(model)
    return f"{card.title} answers {', '.join(card.answers)}." if card.answers else ""


def chips_of(example: int | None) -> gr.Dataset:
    """The questions of an example; for somebody's own picture there are none to offer."""
    known = [] if example is None else examples()[example]["questions"]
    return gr.Dataset(samples=[[one["question"]] for one in known[:CHIPS]], visible=bool(known))
