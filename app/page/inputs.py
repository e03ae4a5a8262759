"""Form inputs made from the fields of `Request`, and components that check nothing themselves.

`app.jobs` checks every value and answers with a sentence. Gradio's own checks answer a number out
of range with status 500, also while a person types it, and compare a choice with a list that the
server may have forgotten.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.request import DEFAULTS, INPUTS
from app.settings import Settings


def unchecked(_: Any, payload: Any) -> Any:
    return payload


class NumberInput(gr.Number):
    """`gr.Number` without its checks."""

    is_template = True  # keeps the stock front end
    preprocess = unchecked


class RangeInput(gr.Slider):
    """`gr.Slider` without its checks."""

    is_template = True
    preprocess = unchecked


class ChoiceInput(gr.Dropdown):
    """`gr.Dropdown` of one choice, without its checks."""

    is_template = True
    preprocess = unchecked
    postprocess = unchecked


class ChoicesInput(gr.CheckboxGroup):
    """`gr.CheckboxGroup` without its checks."""

    is_template = True
    preprocess = unchecked


def slider(name: str, settings: Settings, **options: Any) -> RangeInput:
    """The slider of a field; `options` replace what the field declares."""
    low, high = INPUTS[name].limits(settings)
    options = {"value": DEFAULTS[name], "step": INPUTS[name].step} | options
    options["value"] = min(options["value"], high)
    return RangeInput(low, high, **declared(name) | options)


def declared(name: str) -> dict[str, Any]:
    """Label and help of a field, as options of a component."""
    return {"label": INPUTS[name].label, "info": INPUTS[name].help}
