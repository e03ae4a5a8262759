"""One survivor over a whole clip: every token merged into it, in its colour, the rest dimmed."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from app.render.forest import tree_of
from app.render.marks import shapes_of, stamp
from app.render.palette import at_layer
from app.render.sheet import BLACK, GROUND, INK, WHITE, ZOOM, Sheet, font
from app.render.strip import seconds
from app.render.summary import figures, percent
from app.render.thread import draw_thread, middles
from models.uploads.media import Media
from pruning.trace import TokenTrace

DIM = 0.68  # share of the ground in what is not in the tree
FAINTEST, STRONGEST = 0.15, 0.5  # tint of a member without weight, and of the heaviest
DIGITS = 9  # height of a printed weight, in pixels of the page


def tree(
    media: Media,
    trace: TokenTrace,
    survivor: int,
    *,
    width: int = 1440,
    layer: int | None = None,
) -> Image.Image:
    """A contact sheet of the clip with one tree on it.

    A member is bright and outlined, its tint as strong as its weight, which is printed in per cent
    where there is room. The survivor has a marker and a double outline. A thread leads from frame
    to frame through the middle one of each frame's members, for the eye: no method records a path.

    Args:
        media: The clip.
        trace: The lane's provenance.
        survivor: The token that the members were merged into, in original numbering.
        width: Pixels of the page that the sheet may take; drawn with twice as many.
        layer: None for the end of the run, else as that LLM layer sees it.
    """
    chosen, layout = tree_of(trace, survivor, layer), trace.layout
    sheet = Sheet.over(media, layout, width)
    bright, picture = sheet.blank(), sheet.blank()
    for index, (frame, time) in enumerate(zip(media.frames, media.times, strict=True)):
        painted = sheet.canvas.paint(frame)
        said = _said(chosen.shares[chosen.frames == index])
        sheet.place(bright, index, painted)
        sheet.place(picture, index, _dimmed(painted), seconds(float(time)), *said)
    shown = np.flatnonzero(layout.placed[chosen.members])
    frames, shares = chosen.frames[shown], chosen.shares[shown]  # (M,)
    cells = sheet.cells(frames, layout.box[chosen.members[shown]])  # (M, 4)
    rgb = ImageColor.getrgb(chosen.colour)[:3]
    _members(picture, bright, rgb, cells, shares)
    draw_thread(picture, rgb, middles(frames, cells), sheet.columns)
    if layout.placed[survivor]:
        home = sheet.cells(layout.frame[[survivor]], layout.box[[survivor]])[0].tolist()
        now = trace if layer is None else at_layer(trace, layer)
        _crown(picture, rgb, home, shapes_of(now).get(survivor, "dot"))
    _weights(picture, cells, shares)
    return picture


def tree_words(media: Media, trace: TokenTrace, survivor: int, layer: int | None = None) -> str:
    """The tree in a sentence: its text alternative."""
    chosen = tree_of(trace, survivor, layer)
    home = seconds(float(media.times[trace.layout.frame[survivor]]))
    begin, end = (seconds(float(media.times[frame])) for frame in chosen.span)
    frames = len(np.unique(chosen.frames))
    where = f"{frames} frames, from {begin} to {end}" if frames > 1 else f"the frame at {begin}"
    return f"The survivor at {home} stands for {_counted(len(chosen))} of {where}"


def _counted(tokens: int) -> str:
    return f"{tokens:,} token{'' if tokens == 1 else 's'}"


def _said(shares: np.ndarray) -> list[str]:
    """Below a frame: how many of the members it has, and their part of the weight."""
    return [_counted(len(shares)), f"weight {percent(float(shares.sum()))}"] if len(shares) else []


def _dimmed(frame: Image.Image) -> Image.Image:
    grey = frame.convert("L").convert("RGB")
    return Image.blend(grey, Image.new("RGB", grey.size, GROUND), DIM)


def _members(
    picture: Image.Image,
    bright: Image.Image,
    rgb: tuple[int, ...],
    cells: np.ndarray,
    shares: np.ndarray,
) -> None:
    draw = ImageDraw.Draw(picture)
    for cell, share in zip(cells.tolist(), (shares / shares.max()).tolist(), strict=True):
        left, top, right, bottom = cell
        part = bright.crop((left, top, right, bottom))
        tint = FAINTEST + share * (STRONGEST - FAINTEST)
        picture.paste(Image.blend(part, Image.new("RGB", part.size, rgb), tint), (left, top))
        draw.rectangle((left, top, right - 1, bottom - 1), outline=rgb, width=ZOOM)


def _crown(picture: Image.Image, rgb: tuple[int, ...], cell: list[int], shape: str) -> None:
    """The survivor: a white outline inside the coloured one, and its marker."""
    left, top, right, bottom = cell
    draw = ImageDraw.Draw(picture)
    for paint, inset in ((rgb, 0), (WHITE, ZOOM)):
        edge = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
        draw.rectangle(edge, outline=paint, width=ZOOM)
    side = min(max(4 * ZOOM, (right - left) // 3), 9 * ZOOM)
    marker = stamp(shape, side, (rgb[0], rgb[1], rgb[2]))
    corner = ((left + right - marker.width) // 2, (top + bottom - marker.height) // 2)
    picture.paste(marker, corner, marker)


def _weights(picture: Image.Image, cells: np.ndarray, shares: np.ndarray) -> None:
    """In the lower left of each cell, light with a dark rim, or not at all."""
    draw, letters = ImageDraw.Draw(picture), font(DIGITS * ZOOM)
    for (left, top, right, bottom), share in zip(cells.tolist(), shares.tolist(), strict=True):
        text = f"{figures(100 * share, 2)} %"
        wide, tall = letters.getlength(text), 1.6 * DIGITS * ZOOM
        if right - left > wide + 4 * ZOOM and bottom - top > 2 * tall:
            place = (left + 2 * ZOOM, bottom - tall)
            draw.text(place, text, INK, letters, stroke_width=ZOOM, stroke_fill=BLACK)
