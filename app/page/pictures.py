"""What the page draws of a lane: the frames once, and the tokens and boxes as data.

`scripts/draw.js` draws them in the browser, so that a token can be followed through all lanes
without a question to the server.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from app.render.text import format_seconds
from app.render.token_data import token_data
from models.engine.record import LaneResult, Truth
from models.uploads.media import Media

LONG_SIDE = 768  # pixels: sharp in a lane of 500 on a high-resolution screen
FRAME_SIDE = 384  # of a frame in a strip
QUALITY = 84
THUMB = 96  # pixels of the picture beside a question


def lane_pictures(
    media: Media, result: LaneResult, truth: Truth | None, colour: str, *, frames: bool
) -> str:
    """A lane's figure. One lane of a comparison bears its `frames`; the others use the same."""
    data = lane_data(media, result, truth, colour)
    bare = f'<div class="frames" hidden>{frame_images(media)}</div>' if frames else ""
    return (
        f'<figure class="pictures" data-lane="{pack(data)}">{bare}{_place(media)}'
        f"<figcaption>{escape(data['tokens']['stages'][-1]['legend'])}</figcaption></figure>"
    )


def lane_data(media: Media, result: LaneResult, truth: Truth | None, colour: str) -> dict[str, Any]:
    """What the browser draws a lane from."""
    return {
        "title": result.title,
        "colour": colour,
        "boxes": np.clip(np.nan_to_num(result.boxes), 0, 1).round(4).tolist(),  # (M, 4)
        "truth": truth.box if truth else None,
        "side": _side(media),
        "times": [format_seconds(float(time)) for time in media.times],
        "tokens": token_data(media, result.trace),
    }


def placeholder(media: Media) -> str:
    """An empty area of the same size, so that nothing moves when the pictures arrive."""
    return f'<figure class="pictures">{_place(media)}</figure>'


def _place(media: Media) -> str:
    height, width = media.frames.shape[1:3]
    place = f'<div class="awaited" style="aspect-ratio:{width}/{height}"></div>'
    if media.kind == "image":
        return place
    return f'<ol class="strip">{f"<li>{place}<span>&nbsp;</span></li>" * len(media.frames)}</ol>'


def _side(media: Media) -> int:
    return LONG_SIDE if media.kind == "image" else FRAME_SIDE


def frame_images(media: Media) -> str:
    uris = (data_uri(Image.fromarray(frame), _side(media)) for frame in media.frames)
    return "".join(f'<img src="{uri}" alt="">' for uri in uris)


def pack(data: dict) -> str:
    """JSON, deflated and in base64: an attribute that needs no escape."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode())).decode()


def thumbnail(media: Media) -> str:
    """The first frame as a small data URI."""
    return data_uri(Image.fromarray(media.frames[0]), THUMB)


def data_uri(picture: Image.Image, most: int) -> str:
    """A JPEG inside the page, so that there is no file to serve and delete."""
    image = picture.convert("RGB")
    image.thumbnail((most, most))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
