"""Sheets that show many methods at several ratios on one picture or clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from app.render.canvas import Canvas
from app.render.overlay import fate_counts, overlay
from app.render.sheet import FAINT, GAP, GROUND, INK, LINE, TEXT, ZOOM, Sheet, font
from app.render.strip import strip
from app.render.text import format_percent
from models.uploads.media import Media
from pruning.budget import at_least
from pruning.trace import TokenTrace

CELL = 150  # width of a picture, in pixels of the page
COLUMNS = 6
STRIP = 976  # width of a strip


@dataclass(frozen=True, eq=False)
class Run:
    """A method at a ratio; if it refuses the ratio, at its smallest one or without a trace."""

    title: str
    asked: float
    trace: TokenTrace | None
    smallest: float | None = None  # ratio of a method that refuses `asked`

    @property
    def heading(self) -> str:
        return f"{self.title} · {format_percent(self.asked)}"

    @property
    def notes(self) -> tuple[str, ...]:
        if self.trace is None:
            assert self.smallest is not None
            return (f"refused: {at_least(self.smallest)} at least",)
        counts = fate_counts(self.trace)
        kept, merged = (f"{counts[fate]:,} {fate}" for fate in ("kept", "merged"))
        if self.smallest is not None:
            return f"refused, so {at_least(self.smallest)}:", f"{kept}, {merged}"
        ran = format_percent(self.trace.average)
        return f"{kept}, {merged}", f"{counts['dropped']:,} dropped, {ran} run"


def picture_gallery(media: Media, runs: Sequence[Run]) -> Image.Image:
    """Overlays of a picture in rows, each with its counts below."""
    first = next(run.trace for run in runs if run.trace is not None)
    canvas = Canvas.over(media.frames[0], first.layout, ZOOM * CELL)
    sheet = Sheet(len(runs), COLUMNS, ZOOM * CELL, canvas)
    picture = sheet.blank()
    for index, run in enumerate(runs):
        if run.trace is None:
            cell = _empty(canvas)
        else:
            cell = overlay(media.frames[0], run.trace, size=ZOOM * CELL)
        sheet.place(picture, index, cell, run.heading, *run.notes)
    return picture


def _empty(canvas: Canvas) -> Image.Image:
    cell = Image.new("RGB", (canvas.width, canvas.height), GROUND)
    corner = (canvas.width - 1, canvas.height - 1)
    ImageDraw.Draw(cell).rectangle(((0, 0), corner), outline=FAINT, width=ZOOM)
    return cell


def clip_gallery(media: Media, runs: Sequence[Run]) -> Image.Image:
    """Strips of a clip below each other, each under a line of text."""
    strips = [None if run.trace is None else strip(media, run.trace, width=STRIP) for run in runs]
    heading = ZOOM * (LINE + GAP)
    width = max(each.width for each in strips if each is not None)
    height = sum(heading + (each.height if each is not None else 0) for each in strips)
    picture = Image.new("RGB", (width, height), GROUND)
    draw, top = ImageDraw.Draw(picture), 0
    for run, each in zip(runs, strips, strict=True):
        corner = (ZOOM * GAP, top + ZOOM * GAP)
        draw.text(corner, run.heading, INK, font(ZOOM * TEXT))
        beside = corner[0] + draw.textlength(f"{run.heading}   ", font(ZOOM * TEXT))
        draw.text((beside, corner[1]), ", ".join(run.notes), FAINT, font(ZOOM * TEXT))
        top += heading
        if each is not None:
            picture.paste(each, (0, top))
            top += each.height
    return picture
