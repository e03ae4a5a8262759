"""Draw one tree over all frames of a clip: its members in colour, all other tokens dimmed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from app.render.marks import shapes_of, stamp
from app.render.palette import at_layer
from app.render.sheet import BLACK, GROUND, INK, WHITE, ZOOM, Sheet, font
from app.render.text import format_number, format_percent, format_seconds
from app.render.trees import tree_of
from models.uploads.media import Media
from pruning.trace import TokenTrace

DIM = 0.68  # opacity of the ground over tokens outside the tree
FAINTEST, STRONGEST = 0.15, 0.5  # tint of a member of weight 0, and of the heaviest
DIGITS = 9  # height of a printed weight, in pixels of the page


def draw_tree(
    media: Media,
    trace: TokenTrace,
    survivor: int,
    *,
    width: int = 1440,
    layer: int | None = None,
) -> Image.Image:
    """A contact sheet of the frames that have tokens of a tree, with the tree on it.

    A member is bright and outlined; its tint grows with its weight, which is printed in per cent
    if there is room. The survivor has a marker and a double outline. A line joins the central
    members of the frames; it is a guide for the reader, methods record no path.

    Args:
        media: The clip.
        trace: The lane's provenance.
        survivor: Index of the survivor among the original tokens.
        width: Width of the sheet in pixels of the page; the picture has twice as many.
        layer: The LLM layer whose input is drawn; None for the end of the run.
    """
    chosen, layout = tree_of(trace, survivor, layer), trace.layout
    sheet = Sheet.over(media, layout, width, frames_of(trace, survivor, layer))
    bright, picture = sheet.blank(), sheet.blank()
    for index, frame in enumerate(sheet.frames):
        painted, time = sheet.canvas.paint(media.frames[frame]), float(media.times[frame])
        lines = _frame_lines(chosen.shares[chosen.frames == frame])
        sheet.place(bright, index, painted)
        sheet.place(picture, index, _dimmed(painted), format_seconds(time), *lines)
    placed = np.flatnonzero(layout.placed[chosen.members])
    frames, shares = chosen.frames[placed], chosen.shares[placed]  # (M,)
    cells = sheet.cells(frames, layout.box[chosen.members[placed]])  # (M, 4)
    rgb = ImageColor.getrgb(chosen.colour)[:3]
    _draw_members(picture, bright, rgb, cells, shares)
    _draw_path(picture, rgb, _central_members(sheet.places(frames), cells), sheet.columns)
    if layout.placed[survivor]:
        home = sheet.cells(layout.frame[[survivor]], layout.box[[survivor]])[0].tolist()
        now = at_layer(trace, layer)
        _draw_survivor(picture, rgb, home, shapes_of(now).get(survivor, "dot"))
    _print_weights(picture, cells, shares)
    return picture


def frames_of(trace: TokenTrace, survivor: int, layer: int | None = None) -> tuple[int, ...]:
    """The frames of a tree and of its survivor, ascending."""
    home = trace.layout.frame[[survivor]]
    frames = np.union1d(tree_of(trace, survivor, layer).frames, home)
    return tuple(frames.tolist())


def describe_tree(media: Media, trace: TokenTrace, survivor: int, layer: int | None = None) -> str:
    """The tree in one sentence, as the text alternative of its picture."""
    chosen = tree_of(trace, survivor, layer)
    home = format_seconds(float(media.times[trace.layout.frame[survivor]]))
    begin, end = (format_seconds(float(media.times[frame])) for frame in chosen.span)
    frames = len(np.unique(chosen.frames))
    where = f"{frames} frames, from {begin} to {end}" if frames > 1 else f"the frame at {begin}"
    return f"The survivor at {home} stands for {_count_text(len(chosen))} of {where}"


def _count_text(tokens: int) -> str:
    return f"{tokens:,} token{'' if tokens == 1 else 's'}"


def _frame_lines(shares: np.ndarray) -> list[str]:
    if not len(shares):
        return []
    return [_count_text(len(shares)), f"weight {format_percent(float(shares.sum()))}"]


def _dimmed(frame: Image.Image) -> Image.Image:
    grey = frame.convert("L").convert("RGB")
    return Image.blend(grey, Image.new("RGB", grey.size, GROUND), DIM)


def _draw_members(
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


def _central_members(frames: np.ndarray, cells: np.ndarray) -> dict[int, tuple[float, float]]:
    """Place of a frame -> centre of the member nearest to the mean of that frame's members."""
    centres = (cells[:, :2] + cells[:, 2:]) / 2  # (M, 2)
    places = {}
    for frame in np.unique(frames).tolist():
        own = centres[frames == frame]
        x, y = own[np.linalg.norm(own - own.mean(axis=0), axis=1).argmin()].tolist()
        places[frame] = x, y
    return places


def _draw_path(
    picture: Image.Image,
    rgb: tuple[int, ...],
    places: dict[int, tuple[float, float]],
    columns: int,
) -> None:
    """Join the frames; from row to row the line leaves on the right and enters on the left."""
    draw = ImageDraw.Draw(picture)
    lines = []
    for (frame, (x, y)), (following, (to_x, to_y)) in pairwise(places.items()):
        if frame // columns == following // columns:
            lines.append((x, y, to_x, to_y))
        else:
            lines += [(x, y, picture.width, y), (0, to_y, to_x, to_y)]
    for paint, line in ((BLACK, 3 * ZOOM), (rgb, ZOOM)):
        for ends in lines:
            draw.line(ends, paint, line)
    for x, y in places.values():
        for paint, radius in ((BLACK, 3 * ZOOM), (WHITE, 2 * ZOOM)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), paint)


def _draw_survivor(picture: Image.Image, rgb: tuple[int, ...], cell: list[int], shape: str) -> None:
    left, top, right, bottom = cell
    draw = ImageDraw.Draw(picture)
    for paint, inset in ((rgb, 0), (WHITE, ZOOM)):
        edge = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
        draw.rectangle(edge, outline=paint, width=ZOOM)
    side = min(max(4 * ZOOM, (right - left) // 3), 9 * ZOOM)
    marker = stamp(shape, side, (rgb[0], rgb[1], rgb[2]))
    corner = ((left + right - marker.width) // 2, (top + bottom - marker.height) // 2)
    picture.paste(marker, corner, marker)


def _print_weights(picture: Image.Image, cells: np.ndarray, shares: np.ndarray) -> None:
    draw, letters = ImageDraw.Draw(picture), font(DIGITS * ZOOM)
    for (left, top, right, bottom), share in zip(cells.tolist(), shares.tolist(), strict=True):
        text = f"{format_number(100 * share, 2)} %"
        wide, tall = letters.getlength(text), 1.6 * DIGITS * ZOOM
        if right - left > wide + 4 * ZOOM and bottom - top > 2 * tall:
            place = (left + 2 * ZOOM, bottom - tall)
            draw.text(place, text, INK, letters, stroke_width=ZOOM, stroke_fill=BLACK)
