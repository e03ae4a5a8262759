"""The thread that leads the eye through a tree, from frame to frame of a sheet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from app.render.sheet import BLACK, WHITE, ZOOM


def middles(frames: np.ndarray, cells: np.ndarray) -> dict[int, tuple[float, float]]:
    """Frame -> the centre of the member that is nearest to the mean of the frame's members."""
    centres = (cells[:, :2] + cells[:, 2:]) / 2  # (M, 2)
    places = {}
    for frame in np.unique(frames).tolist():
        own = centres[frames == frame]
        x, y = own[np.linalg.norm(own - own.mean(axis=0), axis=1).argmin()].tolist()
        places[frame] = x, y
    return places


def draw_thread(
    picture: Image.Image,
    rgb: tuple[int, ...],
    places: dict[int, tuple[float, float]],
    columns: int,
) -> None:
    """From frame to frame; where the next one is in another row, out of this one and into that."""
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
