"""Inputs that hand a value over as it came, for `app.request` to refuse in words.

The stock ones refuse it first: a number with a status of 500 and no sentence, even half-typed on
the page; a choice by the list of the session, which a server that has forgotten it no longer has.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


def as_it_came(_: Any, payload: Any) -> Any:
    return payload


class NumberInput(gr.Number):
    """`gr.Number` without its own checks."""

    is_template = True  # keeps the stock front end
    preprocess = as_it_came


class RangeInput(gr.Slider):
    """`gr.Slider` without its own checks."""

    is_template = True
    preprocess = as_it_came


class ChoiceInput(gr.Dropdown):
    """`gr.Dropdown` of one choice, without its own checks."""

    is_template = True
    preprocess = as_it_came
    postprocess = as_it_came


class ChoicesInput(gr.CheckboxGroup):
    """`gr.CheckboxGroup` without its own checks."""

    is_template = True
    preprocess = as_it_came
