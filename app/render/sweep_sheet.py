"""The pictures of a sweep: what each method keeps at each ratio, with the box that it finds."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from app.render.boxes import draw_boxes
from app.render.canvas import Canvas
from app.render.overlay import overlay
from app.render.sheet import FAINT, GROUND, ZOOM, Sheet
from app.render.sweep import Point, Sweep
from app.render.text import format_percent, one_line, shorten
from models.engine.record import LaneResult, Truth
from models.uploads.media import Media

CELL = 150  # width of a picture, in pixels of the page
FRAMES = {"right": (0, 158, 115), "wrong": (213, 94, 0)}  # green and red-orange, safe for all eyes


def lane_picture(
    media: Media, lane: LaneResult, truth: Truth | None, colour: str, size: int = ZOOM * CELL
) -> Image.Image:
    """The fates of the tokens on the last frame, with the boxes of the answer and the true one."""
    frame, layout = media.frames[-1], lane.trace.layout
    fates = overlay(frame, lane.trace, len(media.frames) - 1, size)
    canvas = Canvas.over(frame, layout, size)

    def on_canvas(boxes: np.ndarray) -> np.ndarray:
        """From fractions of the frame to fractions of the canvas, which has the padding too."""
        shares: np.ndarray = canvas.pixels(boxes) / ([canvas.width, canvas.height] * 2)
        return shares

    box = None
    if truth is not None and truth.box is not None:
        left, top, right, bottom = on_canvas(np.array([truth.box]))[0].tolist()
        box = (left, top, right, bottom)
    boxes = on_canvas(lane.boxes.astype(float)) if len(lane.boxes) else lane.boxes
    return draw_boxes(np.asarray(fates), boxes, box, colour, size=size)


def sweep_sheet(sweep: Sweep) -> Image.Image:
    """A row a method and a column a ratio; vanilla is alone in the first row."""
    media, columns = sweep.comparison.media, len(sweep.ratios)
    first = next(lane for lane in sweep.comparison.lanes if isinstance(lane, LaneResult))
    canvas = Canvas.over(media.frames[-1], first.trace.layout, ZOOM * CELL)
    sheet = Sheet((1 + len(sweep.rows)) * columns, columns, ZOOM * CELL, canvas)
    picture = sheet.blank()
    _place(sheet, picture, 0, sweep, sweep.vanilla, "Vanilla", "#777777")
    rows = zip(sweep.rows.items(), sweep.colours, strict=True)
    for row, ((title, points), colour) in enumerate(rows, start=1):
        for column, point in enumerate(points):
            heading = f"{title} · {format_percent(point.ratio)}"
            _place(sheet, picture, row * columns + column, sweep, point, heading, colour)
    return picture


def _place(
    sheet: Sheet,
    picture: Image.Image,
    index: int,
    sweep: Sweep,
    point: Point,
    heading: str,
    colour: str,
) -> None:
    lane = point.lane
    if isinstance(lane, LaneResult):
        comparison = sweep.comparison
        cell = lane_picture(comparison.media, lane, comparison.truth, colour)
        lines = [point.text, shorten(lane.answer, 24)]
    else:
        cell = Image.new("RGB", (sheet.canvas.width, sheet.canvas.height), GROUND)
        lines = [point.text, shorten(one_line(lane.reason), 24)]
    edge = FRAMES.get(point.verdict, FAINT)
    corner = (cell.width - 1, cell.height - 1)
    ImageDraw.Draw(cell).rectangle(((0, 0), corner), outline=edge, width=2 * ZOOM)
    sheet.place(picture, index, cell, heading, *lines)
