"""Hidden components that give the API's arguments their types, descriptions and examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from typing import Any

import gradio as gr

from app.example_uploads import examples
from app.guard.uploads import PictureInput, example_address
from app.page.inputs import NumberInput
from app.request import DEFAULTS, INPUTS, RATIOS, Request

LIST = {"type": "array", "items": {"type": "string"}}
EXTRAS = {  # arguments besides the fields of a request: schema, default, help
    "ratios": (
        {"type": "array", "items": {"type": "number"}},
        list(RATIOS),
        "Retention ratios, at most twelve",
    ),
    "overlays": (
        {"type": "boolean"},
        False,
        "Whether to return each lane's pictures as files",
    ),
    "arrays": (
        {"type": "boolean"},
        False,
        "Whether to return the arrays of the recording: every lane's token map, boxes and layout",
    ),
}


def declare(names: Sequence[str]) -> dict[str, gr.components.Component]:
    """A component for each argument, inside the current `gr.Blocks`."""
    return {name: _extra(name) if name in EXTRAS else _field(name) for name in names}


def signed(call: Callable[..., Any], names: Sequence[str], text: str) -> Callable[..., Any]:
    """`call` with the signature and docstring that Gradio publishes.

    Both are made from the fields of `Request`, instead of a list of a dozen arguments.
    """
    request = inspect.signature(Request).parameters
    parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for name in names:
        if name in request:
            parameters.append(request[name])
        else:
            keyword = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(name, keyword, default=EXTRAS[name][1]))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    lines = "\n".join(f"    {name}: {_help(name)}." for name in names)
    call.__doc__ = text.format(arguments=lines)
    return call


def _help(name: str) -> str:
    return EXTRAS[name][2] if name in EXTRAS else INPUTS[name].help


def _field(name: str) -> gr.components.Component:
    default = None if DEFAULTS[name] is MISSING else DEFAULTS[name]
    if name == "upload":
        upload = PictureInput(type="filepath", label=name)
        first, *_ = examples()
        address = example_address(first["file"])
        file = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        return _described(upload, _help(name), upload.api_info(), file)
    if name == "question":
        first, *_ = examples()
        text = gr.Textbox(label=name)
        return _described(text, _help(name), text.api_info(), first["questions"][0]["question"])
    if name == "methods":
        return _described(gr.JSON(default, label=name), _help(name), LIST, default)
    if step := INPUTS[name].step:
        number = NumberInput(default, precision=0 if step == 1 else None, label=name)
        schema = {"type": "integer" if step == 1 else "number"}
        return _described(number, _help(name), schema, default)
    return _described(gr.Textbox(default, label=name), _help(name), {"type": "string"}, default)


def _extra(name: str) -> gr.components.Component:
    schema, default, text = EXTRAS[name]
    part = gr.Checkbox if schema["type"] == "boolean" else gr.JSON
    return _described(part(default, label=name), text, schema, default)


def _described(part: Any, text: str, schema: dict[str, Any], example: Any) -> Any:
    """The component, published with this schema, description and example."""
    described = schema | {"additional_description": f"{text}."}
    part.api_info = part.api_info_as_input = lambda: described
    part.example_payload = lambda: example
    return part
