"""Draw the boxes of an answer, and the true box, on a frame."""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageDraw

from app.render.canvas import Canvas
from pruning.tokens import TokenLayout

Box = tuple[float, float, float, float]


def draw_boxes(
    frame: np.ndarray,
    boxes: np.ndarray,
    truth: Box | None = None,
    colour: str = "#0077BB",
    *,
    size: int = 960,
    layout: TokenLayout | None = None,
) -> Image.Image:
    """The frame with boxes (M, 4), xyxy as fractions of the frame, in a lane's colour.

    With the lane's `layout` the canvas is that of its overlay. Boxes are clipped to the frame; a
    box without area is not drawn. Two or more boxes are numbered.
    """
    canvas = Canvas.over(frame, layout, size)
    picture = canvas.paint(frame)
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    if truth is not None:
        _draw_dashed(picture, canvas.pixels(np.array([truth], float))[0].tolist(), canvas.unit)
    corners = canvas.pixels(np.clip(np.nan_to_num(boxes), 0, 1))  # (M, 4)
    visible = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    visible &= np.isfinite(boxes).all(axis=1)
    if not visible.any():
        return picture
    corners[:, 2:] = np.minimum(corners[:, 2:], [canvas.width - 1, canvas.height - 1])
    texts = [str(index + 1) for index in np.flatnonzero(visible).tolist() if len(boxes) > 1]
    return _annotate(picture, corners[visible], texts, colour, canvas.unit)


def _annotate(
    picture: Image.Image, corners: np.ndarray, texts: list[str], colour: str, unit: int
) -> Image.Image:
    """Boxes (M, 4) in pixels, in a colour with a white rim; without texts, no labels."""
    with warnings.catch_warnings():  # it warns that OpenCV is missing, which is not needed here
        warnings.simplefilter("ignore")
        import supervision as sv  # half a second: most pages never draw a box here

    found = sv.Detections(xyxy=corners.astype(float))
    colours = sv.ColorPalette([sv.Color.from_hex(colour)])
    line = 2 * unit
    for paint, thickness in ((sv.ColorPalette([sv.Color.WHITE]), 2 * line), (colours, line)):
        annotator = sv.BoxAnnotator(paint, thickness, color_lookup=sv.ColorLookup.INDEX)
        picture = annotator.annotate(picture, found)
    if texts:
        labeller = sv.LabelAnnotator(
            color=colours,
            text_color=sv.Color.WHITE,
            text_scale=0.4 * unit,
            text_thickness=unit,
            text_padding=3 * unit,
            color_lookup=sv.ColorLookup.INDEX,
        )
        picture = labeller.annotate(picture, found, labels=texts)
    return picture


def _draw_dashed(picture: Image.Image, box: list[int], unit: int) -> None:
    """Black and white dashes: visible on every picture, and no lane has these colours."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, right, bottom), outline=(0, 0, 0), width=unit)
    dash = 5 * unit
    for start in range(left, right, 2 * dash):
        stop = min(start + dash, right)
        for y in (top, bottom - unit + 1):
            draw.rectangle((start, y, stop, y + unit - 1), fill=(255, 255, 255))
    for start in range(top, bottom, 2 * dash):
        stop = min(start + dash, bottom)
        for x in (left, right - unit + 1):
            draw.rectangle((x, start, x + unit - 1, stop), fill=(255, 255, 255))
