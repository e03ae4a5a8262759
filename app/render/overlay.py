"""Draw the fate of every visual token over its frame, and describe it as text."""

from __future__ import annotations

import numpy as np
from PIL import Image

from app.render.canvas import Canvas, frame_tokens
from app.render.marks import SHAPES, format_tag, shapes_of, stamp, tag_shape
from app.render.palette import NO_PLACE, PADDING, SURVIVOR_COLOURS, at_layer, survivor_colours
from app.render.text import format_percent
from pruning.trace import Fate, TokenTrace


def overlay(
    frame: np.ndarray,
    trace: TokenTrace,
    frame_index: int = 0,
    size: int = 960,
    layer: int | None = None,
) -> Image.Image:
    """One frame with the fates of its tokens.

    Args:
        frame: (H, W, 3) uint8.
        trace: The lane's provenance.
        frame_index: Index of the frame, as in `trace.layout.frame`.
        size: Pixels on the longer side; twice the size on the page keeps lines thin.
        layer: The LLM layer whose input is drawn; None for the end of the run.
    """
    colours = survivor_colours(trace)  # (N,) of the whole run, so that layers agree
    now = at_layer(trace, layer)
    canvas = Canvas.over(frame, trace.layout, size)
    picture = canvas.paint(frame)
    tokens = frame_tokens(trace.layout, frame_index)
    if not len(tokens):
        return picture
    cells = canvas.pixels(trace.layout.box[tokens])  # (n, 4)
    owner = _raster(cells, tokens, (canvas.height, canvas.width))  # (H, W) token, −1 = none
    groups = merged_survivors(now)  # (N,)
    pixels = _fill(picture, canvas, owner, now.fate, _tints(now.survivor, colours))
    _outline(pixels, canvas.unit, owner, now, colours, groups)
    marked = Image.fromarray(pixels)
    _mark(marked, canvas, now, colours, groups, tokens, cells)
    return marked


def fate_counts(trace: TokenTrace, frame_index: int | None = None) -> dict[str, int]:
    """Counts of the placed tokens of one frame, or of all: tokens, kept, merged, dropped."""
    layout = trace.layout
    fate = trace.fate[layout.placed if frame_index is None else frame_tokens(layout, frame_index)]
    counts = {name.name.lower(): int((fate == name).sum()) for name in reversed(Fate)}
    return {"tokens": len(fate), **counts}


def legend(trace: TokenTrace) -> str:
    """The text below an overlay: counts, shares, markers, and tokens without a place."""
    counts = fate_counts(trace)
    total = max(1, counts["tokens"])
    parts = [
        f"{name} {counts[name]:,} of {total:,} ({format_percent(counts[name] / total)})"
        if name == "kept"
        else f"{name} {counts[name]:,} ({format_percent(counts[name] / total)})"
        for name in ("kept", "merged", "dropped")
    ]
    if counts["dropped"]:
        parts[-1] += f": {_where_dropped(trace)}"
    for tag, members in trace.tags.items():
        shape = SHAPES[tag_shape(tag, list(trace.tags))]
        if members.any():
            parts.append(f"{shape} {int(members.sum()):,} {format_tag(tag)}")
    if merged_survivors(trace)[trace.layout.placed].any() and not trace.tags:
        parts.append(f"{SHAPES['dot']} survivor with merged tokens")
    return " · ".join([*parts, *badges(trace)])


def badges(trace: TokenTrace) -> list[str]:
    """Texts about the tokens that have no place on the picture."""
    placeless = np.flatnonzero(~trace.layout.placed)
    names = {Fate.KEPT: "kept", Fate.MERGED: "merged", Fate.DROPPED: "dropped"}
    label = "[CLS], which has no place, " if len(placeless) == 1 else "token without a place "
    texts = []
    for fate in reversed(Fate):
        count = int((trace.fate[placeless] == fate).sum())
        if count:
            texts.append(f"{label}{names[fate]}" + (f" ({count})" if count > 1 else ""))
    extra = int((trace.survivors < 0).sum())
    if extra:
        texts.append(f"{extra} extra token{'s' if extra > 1 else ''} without a place")
    return texts


def _raster(cells: np.ndarray, tokens: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) the token of each pixel, the one with the smallest cell; −1 for none."""
    owner = np.full(shape, -1, dtype=np.int32)
    area = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    for index in np.argsort(-area, kind="stable"):
        left, top, right, bottom = cells[index]
        owner[max(top, 0) : bottom, max(left, 0) : right] = tokens[index]
    return owner


def merged_survivors(trace: TokenTrace) -> np.ndarray:
    """(N,) bool: survivors into which other tokens were merged."""
    survivor = trace.survivor[trace.fate == Fate.MERGED]
    groups = np.zeros(len(trace), dtype=bool)
    groups[survivor[survivor >= 0]] = True
    return groups


def _tints(survivor: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(N, 3) uint8, the colour of each token's survivor."""
    placed = (survivor >= 0) & (colours[survivor] >= 0)
    tints = SURVIVOR_COLOURS[np.where(placed, colours[survivor], 0)]
    tints[~placed] = NO_PLACE
    return tints


def _fill(
    picture: Image.Image, canvas: Canvas, owner: np.ndarray, fate: np.ndarray, tints: np.ndarray
) -> np.ndarray:
    """(H, W, 3): kept unchanged, merged tinted, dropped dim and hatched, unseen faded."""
    grey = picture.convert("L")
    outside = Image.new("L", picture.size, 0)
    outside.paste(255, tuple(canvas.pixels(np.array([[0.0, 0.0, 1.0, 1.0]]))[0].tolist()))
    unseen = Image.fromarray(owner < 0)
    faded = Image.blend(grey.convert("RGB"), Image.new("RGB", picture.size, PADDING), 0.7)
    picture = Image.composite(Image.composite(faded, picture, outside), picture, unseen)

    dim = grey.point([round(16 + 0.28 * value) for value in range(256)])
    hatch = _hatch(owner.shape, canvas.unit)
    dropped = Image.composite(grey.point([round(62 + 0.34 * v) for v in range(256)]), dim, hatch)
    picture = Image.composite(
        dropped.convert("RGB"),
        picture,
        Image.fromarray((owner >= 0) & (fate[owner] == Fate.DROPPED)),
    )
    merged = (owner >= 0) & (fate[owner] == Fate.MERGED)
    if merged.any():
        tint = Image.blend(picture, Image.fromarray(tints[owner]), 0.5)
        picture = Image.composite(tint, picture, Image.fromarray(merged))
    return np.array(picture)


def _hatch(shape: tuple[int, int], unit: int) -> Image.Image:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return Image.fromarray((x + y) % (5 * unit) < unit)


def _outline(
    pixels: np.ndarray,
    unit: int,
    owner: np.ndarray,
    trace: TokenTrace,
    colours: np.ndarray,
    groups: np.ndarray,
) -> None:
    """Draw outlines in place, each inside its own cell."""
    inside = owner >= 0
    fate = np.where(inside, trace.fate[owner], -1)
    survivor = np.where(inside & (fate > 0), trace.survivor[owner], -2)

    seam = inside & _edge(owner, 1)
    lighten = seam & (fate == Fate.KEPT) & ~groups[owner]
    pixels[lighten] = pixels[lighten] // 4 * 3 + 60  # faint, between two kept tokens
    merged = fate == Fate.MERGED
    if merged.any():
        darken = seam & merged
        pixels[darken] = pixels[darken] // 5 * 4
        y, x = np.ogrid[: owner.shape[0], : owner.shape[1]]
        dots = ((x // unit) % 2 == 0) & ((y // unit) % 2 == 0)
        border = merged & _edge(survivor, unit) & dots
        pixels[border] = 255

    plain = (fate == Fate.KEPT) & ~groups[owner]
    region = plain.astype(np.int32)
    pixels[plain & _edge(region, 2 * unit)] = 20
    pixels[plain & _edge(region, unit)] = 255
    heads = np.where(inside & groups[owner] & (fate == Fate.KEPT), owner, -1)
    head = heads >= 0
    if head.any():
        pixels[head & _edge(heads, 2 * unit)] = 255
        line = head & _edge(heads, unit)
        pixels[line] = _tints(trace.survivor, colours)[owner[line]]


def _edge(key: np.ndarray, width: int) -> np.ndarray:
    """(H, W) bool: pixels closer than `width` to another key or to the border."""
    edge = np.zeros(key.shape, dtype=bool)
    edge[:width], edge[-width:], edge[:, :width], edge[:, -width:] = True, True, True, True
    across = key[:, width:] != key[:, :-width]
    edge[:, width:] |= across
    edge[:, :-width] |= across
    down = key[width:] != key[:-width]
    edge[width:] |= down
    edge[:-width] |= down
    return edge


def _mark(
    picture: Image.Image,
    canvas: Canvas,
    trace: TokenTrace,
    colours: np.ndarray,
    groups: np.ndarray,
    tokens: np.ndarray,
    cells: np.ndarray,
) -> None:
    """Put a marker on every survivor that has a kind or merged tokens."""
    shapes = {int(token): "dot" for token in np.flatnonzero(groups)} | shapes_of(trace)
    for token, (left, top, right, bottom) in zip(tokens.tolist(), cells.tolist(), strict=True):
        if token not in shapes or trace.fate[token] != Fate.KEPT:
            continue
        room = min(right - left, bottom - top)
        if groups[token]:
            rgb = SURVIVOR_COLOURS[colours[token]].tolist()
            side = min(max(4 * canvas.unit, round(0.5 * room)), 9 * canvas.unit)
            marker = stamp(shapes[token], side, (rgb[0], rgb[1], rgb[2]))
            corner = ((left + right - marker.width) // 2, (top + bottom - marker.height) // 2)
        else:  # nothing merged: small and in the corner, so that the picture stays visible
            marker = stamp(shapes[token], min(max(2 * canvas.unit, room // 5), 5 * canvas.unit))
            corner = (left + canvas.unit, top + canvas.unit)
        picture.paste(marker, corner, marker)


def _where_dropped(trace: TokenTrace) -> str:
    """ "464 before the LLM, 48 before layer 16"."""
    dropped = trace.layout.placed & (trace.fate == Fate.DROPPED)
    layers, counts = np.unique(trace.left_at[dropped], return_counts=True)
    return ", ".join(
        f"{count:,} before {f'LLM layer {layer}' if layer else 'the LLM'}"
        for layer, count in zip(layers.tolist(), counts.tolist(), strict=True)
    )
