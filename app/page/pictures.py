"""The pictures of a lane as HTML: tokens, boxes and the plain picture."""

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
from app.render.strip import frame_cells
from app.render.text import format_seconds
from models.engine.record import LaneResult, Truth
from models.uploads.media import Media

LONG_SIDE = 768  # pixels: sharp in a lane of 500 on a high-resolution screen
FRAME_SIDE = 384  # of a frame in a strip
QUALITY = 84
FATES = ("kept", "merged", "dropped")


def lane_pictures(media: Media, result: LaneResult, truth: Truth | None, colour: str) -> str:
    """Up to four views with their legends; a switch of the page shows one view in all lanes.

    The tokens and frames of a clip are strips; its boxes are drawn on the last frame.
    """
    views = {**_token_views(media, result), "picture": _plain_view(media, result)}
    views["boxes"] = _box_view(media, result, truth, colour)
    pictures, legends = (
        "".join(f'<div class="view {name}">{view[part]}</div>' for name, view in views.items())
        for part in (0, 1)
    )
    return f'<figure class="pictures">{pictures}<figcaption>{legends}</figcaption></figure>'


def _token_views(media: Media, result: LaneResult) -> dict[str, tuple[str, str]]:
    """Fates at the end and at the input of the LLM; one view for both if the LLM drops none."""
    layers: dict[str, int | None] = {"tokens": None, "into": 0}
    if not any(step.layer for step in result.trace.steps):
        layers = {"tokens into": None}
    views = {}
    for name, layer in layers.items():
        trace = result.trace if layer is None else at_layer(result.trace, layer)
        facts = legend(trace)
        if media.kind == "video":
            view = _strip(
                (
                    cell.picture,
                    f"{result.title}: {cell.description}",
                    format_seconds(cell.time),
                    f"{cell.kept} of {cell.kept + cell.merged + cell.dropped}",
                )
                for cell in frame_cells(media, result.trace, size=FRAME_SIDE, layer=layer)
            )
        else:
            fates = overlay(media.frames[0], result.trace, size=LONG_SIDE, layer=layer)
            view = _image(fates, f"{result.title}, visual tokens: {facts}")
        views[name] = view, _legend(facts)
    return views


def _plain_view(media: Media, result: LaneResult) -> tuple[str, str]:
    side = LONG_SIDE if media.kind == "image" else FRAME_SIDE
    layout = result.trace.layout
    plain = [Canvas.over(frame, layout, side).paint(frame) for frame in media.frames]
    if media.kind == "video":
        times = map(format_seconds, media.times.tolist())
        frames = zip(plain, times, strict=True)
        view = _strip((picture, f"Frame at {time}", time, "") for picture, time in frames)
    else:
        view = _image(plain[0], "The picture as the model saw it")
    return view, "<span>as the model saw it</span>"


def _box_view(
    media: Media, result: LaneResult, truth: Truth | None, colour: str
) -> tuple[str, str]:
    box, layout = truth.box if truth is not None else None, result.trace.layout
    drawn = draw_boxes(media.frames[-1], result.boxes, box, colour, size=LONG_SIDE, layout=layout)
    count = len(result.boxes)
    boxes = f"{count} box{'es' * (count > 1)} in the answer" if count else "no box to draw"
    sample = f'<i class="key box" style="border-color:{colour}"></i>' if count else ""
    legend = f"<span>{sample}{boxes}</span>"
    alt = f"{result.title}, boxes: {boxes}"
    if box is not None:
        legend += '<span><i class="key true"></i>true box</span>'
        alt += " beside the true one"
    if media.kind == "video":
        last = f"on the last frame, at {format_seconds(float(media.times[-1]))}"
        legend, alt = f"{legend}<span>{last}</span>", f"{alt}, {last}"
    return _image(drawn, alt), legend


def _strip(frames: Iterable[tuple[Image.Image, str, str, str]]) -> str:
    """A list of frames, each with picture, text alternative, time and count."""
    items = "".join(
        f'<li>{_image(picture, alt, FRAME_SIDE)}<span title="{escape(alt)}">'
        f"<b>{time}</b> {count}</span></li>"
        for picture, alt, time, count in frames
    )
    return f'<ol class="strip">{items}</ol>'


def _image(picture: Image.Image, alt: str, most: int = LONG_SIDE) -> str:
    return f'<img src="{data_uri(picture, most)}" alt="{escape(alt)}">'


def _legend(facts: str) -> str:
    """One span per fact, with a sample of each fate's drawing."""
    spans = []
    for fact in facts.split(" · "):
        fate = fact.partition(" ")[0]
        sample = f'<i class="key {fate}"></i>' if fate in FATES else ""
        spans.append(f"<span>{sample}{escape(fact)}</span>")
    return "".join(spans)


def placeholder(media: Media) -> str:
    """An empty area of the same size, so that nothing moves when the pictures arrive."""
    height, width = media.frames.shape[1:3]
    place = f'<div class="awaited" style="aspect-ratio:{width}/{height}"></div>'
    if media.kind == "video":
        items = f"<li>{place}<span>&nbsp;</span></li>" * len(media.frames)
        place = f'<ol class="strip">{items}</ol>'
    return f'<figure class="pictures">{place}</figure>'


def data_uri(picture: Image.Image, most: int) -> str:
    """A JPEG inside the page, so that there is no file to serve and delete."""
    image = picture.convert("RGB")
    image.thumbnail((most, most))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
