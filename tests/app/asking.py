"""The page without a browser, and what a person sends it on Compare."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from app.guard.visitors import Visitors
from app.page import board, form
from app.page.handlers import Handlers
from app.settings import Settings

QUESTION = "Where is the red ball?"
TAB = SimpleNamespace(session_hash="a tab", username=None, client=None)


def handlers(worker) -> Handlers:
    settings = Settings()
    with gr.Blocks():
        return Handlers(
            worker, settings, form.declare(settings), board.declare(settings), Visitors()
        )


def ask(
    page: Handlers,
    picture,
    question=QUESTION,
    model=Settings.model,
    kind="image",
    clip=None,
    **changes,
):
    parts = changes.pop("parts", [])
    values = {
        "way": "lab" if parts else "methods",
        "methods": ["visionzip", "nuwa", "pooling"],
        "ratio": 1 / 9,
        "positions": "published",
        "frames": 8,
        "tokens": 64,
        "temperature": 0.0,
        "seed": 0,
    } | changes
    return page.run(TAB, kind, picture, clip, question, model, *values.values(), *parts)


def ask_of_clip(page, clip, **changes):
    lanes = {"methods": ["flashvid", "fastvid", "ttm"]} | changes
    return ask(page, None, QUESTION, "embedded-video", kind="video", clip=clip, **lanes)
