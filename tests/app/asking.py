"""The page without a browser, and the values it sends on Compare."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import gradio as gr

from app.guard.visitors import Visitors
from app.page import board, form
from app.page.admission import Admission
from app.page.handlers import Handlers
from app.settings import Settings

QUESTION = "Where is the red ball?"
TAB = SimpleNamespace(session_hash="a tab", username=None, client=None)


def handlers(worker) -> Handlers:
    return Handlers(Admission(worker, Settings(), Visitors()), *components())


@cache
def components() -> tuple[form.Form, board.Board]:
    """Those of every page here: Gradio takes 0.2 s to declare them, and handlers change none."""
    settings = Settings()
    with gr.Blocks():
        return form.declare(settings), board.declare(settings)


def ask(page: Handlers, picture, question=QUESTION, kind="image", clip=None, parts=(), **changes):
    """Press Compare. `parts` are the Lab's first selectors; `changes` are fields of the request."""
    asked = page.form
    fields = {
        "question": question,
        "model": Settings.model,
        "methods": ["visionzip", "nuwa", "pooling"],
        "retention_ratio": 1 / 9,
        "positions": "published",
        "num_frames": 8,
        "max_new_tokens": 64,
        "temperature": 0.0,
        "seed": 0,
        "gaze": "",
    } | changes
    lab = [*parts, *["", "", "published"] * 3]
    return page.run(
        TAB,
        {
            asked.kind: kind,
            asked.way: "lab" if parts else "methods",
            page.board.past: "",
            asked.uploads["image"]: picture,
            asked.uploads["video"]: clip,
            **{part: fields[name] for name, part in asked.by_field.items()},
            **dict(zip(asked.lab.selectors, lab, strict=False)),
        },
    )


def ask_of_clip(page, clip, **changes):
    lanes = {"model": "embedded-video", "methods": ["flashvid", "fastvid", "ttm"]}
    return ask(page, None, kind="video", clip=clip, **lanes | changes)
