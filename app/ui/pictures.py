"""A lane's pictures as HTML: tokens, boxes and the bare picture, one shown at a time."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from app.render.boxes import draw_boxes
from app.render.canvas import Canvas
from app.render.overlay import legend, overlay
from models.record import LaneResult, Truth

LONG_SIDE = 768  # pixels; sharp in a lane of 500 on a fine screen
QUALITY = 84
FATES = ("kept", "merged", "dropped")


def lane_pictures(frame: np.ndarray, result: LaneResult, truth: Truth | None, colour: str) -> str:
    """Three views of the same crop; the page's one switch shows the same view in every lane."""
    facts, layout = legend(result.trace), result.trace.layout
    fates = overlay(frame, result.trace, size=LONG_SIDE)
    bare = Canvas.over(frame, layout, LONG_SIDE).paint(frame)  # with the padding the others show
    box = truth.box if truth is not None else None
    boxes = draw_boxes(frame, result.boxes, box, colour, size=LONG_SIDE, layout=layout)
    views = {
        "tokens": (fates, f"{result.title}, visual tokens: {facts}"),
        "boxes": (boxes, boxes_in_words(result, truth)),
        "picture": (bare, "The picture as the model saw it"),
    }
    shown = "".join(
        f'<img class="view {name}" src="{data_uri(drawn)}" alt="{escape(words)}">'
        for name, (drawn, words) in views.items()
    )
    legends = {
        "tokens": _key(facts),
        "boxes": _box_key(result, box is not None, colour),
        "picture": "<span>as the model saw it</span>",
    }
    keys = "".join(f'<div class="view {name}">{key}</div>' for name, key in legends.items())
    return f'<figure class="pictures">{shown}<figcaption>{keys}</figcaption></figure>'


def _box_key(result: LaneResult, known: bool, colour: str) -> str:
    """What the lines of the box view are."""
    sample = f'<i class="key box" style="border-color:{colour}"></i>' if len(result.boxes) else ""
    true = '<span><i class="key true"></i>true box</span>' if known else ""
    return f"<span>{sample}{_boxes_said(result)}</span>{true}"


def _key(facts: str) -> str:
    """The legend, a fact a span, with a sample of each fate's look."""
    spans = []
    for fact in facts.split(" · "):
        fate = fact.partition(" ")[0]
        sample = f'<i class="key {fate}"></i>' if fate in FATES else ""
        spans.append(f"<span>{sample}{escape(fact)}</span>")
    return "".join(spans)


def awaited(frame: np.ndarray) -> str:
    """The place a picture will take, so that nothing moves when it comes."""
    height, width = frame.shape[:2]
    style = f"aspect-ratio:{width}/{height}"
    return f'<figure class="pictures"><div class="awaited" style="{style}"></div></figure>'


def boxes_in_words(result: LaneResult, truth: Truth | None) -> str:
    """What the box view shows, as a sentence: its text alternative."""
    true = " beside the true one" if truth is not None and truth.box is not None else ""
    return f"{result.title}, boxes: {_boxes_said(result)}{true}"


def _boxes_said(result: LaneResult) -> str:
    """An empty box, or one outside the picture, is none that could be drawn."""
    count = len(result.boxes)
    return f"{count} box{'es' * (count > 1)} in the answer" if count else "no box to draw"


def data_uri(picture: np.ndarray | Image.Image) -> str:
    """A JPEG that travels inside the page: no file to serve, and none to delete."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image = image.convert("RGB")
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
