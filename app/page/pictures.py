"""A lane's pictures as HTML: tokens, boxes and the bare picture, one view at a time."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

from PIL import Image

from app.render.boxes import draw_boxes
from app.render.canvas import Canvas
from app.render.overlay import legend, overlay
from app.render.palette import at_layer
from app.render.strip import FrameCell, frame_cells, seconds
from models.engine.record import LaneResult, Truth
from models.uploads.media import Media

LONG_SIDE = 768  # pixels; sharp in a lane of 500 on a fine screen
FRAME_SIDE = 384  # of a frame in a strip
QUALITY = 84
FATES = ("kept", "merged", "dropped")


def lane_pictures(media: Media, result: LaneResult, truth: Truth | None, colour: str) -> str:
    """Four views of the same crop; the page's one switch shows the same view in every lane.

    A clip's tokens and frames are strips, its boxes lie on its last frame.
    """
    views = {**_tokens(media, result), **_bare(media, result)}
    views["boxes"] = _boxes(media, result, truth, colour)
    shown = "".join(f'<div class="view {name}">{view}</div>' for name, (view, _) in views.items())
    keys = "".join(f'<div class="view {name}">{key}</div>' for name, (_, key) in views.items())
    return f'<figure class="pictures">{shown}<figcaption>{keys}</figcaption></figure>'


def _tokens(media: Media, result: LaneResult) -> dict[str, tuple[str, str]]:
    """Fates at the end, and as the LLM got the tokens; one picture where it drops none itself."""
    layers: dict[str, int | None] = {"tokens": None, "into": 0}
    if not any(step.layer for step in result.trace.steps):
        layers = {"tokens into": None}
    views = {}
    for name, layer in layers.items():
        trace = result.trace if layer is None else at_layer(result.trace, layer)
        facts = legend(trace)
        if media.kind == "video":
            view = _strip(
                (cell.picture, f"{result.title}: {cell.words}", seconds(cell.time), _kept(cell))
                for cell in frame_cells(media, result.trace, size=FRAME_SIDE, layer=layer)
            )
        else:
            fates = overlay(media.frames[0], result.trace, size=LONG_SIDE, layer=layer)
            view = _image(fates, f"{result.title}, visual tokens: {facts}")
        views[name] = view, _key(facts)
    return views


def _kept(cell: FrameCell) -> str:
    return f"{cell.kept} of {cell.kept + cell.merged + cell.dropped}"


def _bare(media: Media, result: LaneResult) -> dict[str, tuple[str, str]]:
    """With the padding that the other views show."""
    side = LONG_SIDE if media.kind == "image" else FRAME_SIDE
    layout = result.trace.layout
    bare = [Canvas.over(frame, layout, side).paint(frame) for frame in media.frames]
    if media.kind == "video":
        times = [seconds(time) for time in media.times.tolist()]
        frames = zip(bare, times, strict=True)
        view = _strip((picture, f"Frame at {time}", time, "") for picture, time in frames)
    else:
        view = _image(bare[0], "The picture as the model saw it")
    return {"picture": (view, "<span>as the model saw it</span>")}


def _boxes(media: Media, result: LaneResult, truth: Truth | None, colour: str) -> tuple[str, str]:
    box, layout = truth.box if truth is not None else None, result.trace.layout
    drawn = draw_boxes(media.frames[-1], result.boxes, box, colour, size=LONG_SIDE, layout=layout)
    key = _box_key(result, box is not None, colour)
    words = boxes_in_words(result, truth)
    if media.kind == "video":
        last = f"on the last frame, at {seconds(float(media.times[-1]))}"
        key, words = f"{key}<span>{last}</span>", f"{words}, {last}"
    return _image(drawn, words), key


def _strip(frames: Iterable[tuple[Image.Image, str, str, str]]) -> str:
    """A list of frames, each a picture, its text alternative, its time and its count."""
    items = "".join(
        f'<li>{_image(picture, words, FRAME_SIDE)}<span title="{escape(words)}">'
        f"<b>{time}</b> {count}</span></li>"
        for picture, words, time, count in frames
    )
    return f'<ol class="strip">{items}</ol>'


def _image(picture: Image.Image, words: str, most: int = LONG_SIDE) -> str:
    return f'<img src="{data_uri(picture, most)}" alt="{escape(words)}">'


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


def awaited(media: Media) -> str:
    """The place the pictures will take, so that nothing moves when they come."""
    height, width = media.frames.shape[1:3]
    place = f'<div class="awaited" style="aspect-ratio:{width}/{height}"></div>'
    if media.kind == "video":
        items = f"<li>{place}<span>&nbsp;</span></li>" * len(media.frames)
        place = f'<ol class="strip">{items}</ol>'
    return f'<figure class="pictures">{place}</figure>'


def boxes_in_words(result: LaneResult, truth: Truth | None) -> str:
    """What the box view shows, as a sentence: its text alternative."""
    true = " beside the true one" if truth is not None and truth.box is not None else ""
    return f"{result.title}, boxes: {_boxes_said(result)}{true}"


def _boxes_said(result: LaneResult) -> str:
    """An empty box, or one outside the picture, is none that could be drawn."""
    count = len(result.boxes)
    return f"{count} box{'es' * (count > 1)} in the answer" if count else "no box to draw"


def data_uri(picture: Image.Image, most: int) -> str:
    """A JPEG that travels inside the page: no file to serve, and none to delete."""
    image = picture.convert("RGB")
    image.thumbnail((most, most))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
