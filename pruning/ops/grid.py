"""Places of tokens on a regular grid (T, rows, cols), in raster order."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

from pruning.errors import UnsupportedError
from pruning.ops.precision import widest
from pruning.ops.select import rank_each
from pruning.tokens import LayerView, TokenLayout


def grid_of(layout: TokenLayout, title: str) -> tuple[int, int, int]:
    """The grid of a layout. Raises UnsupportedError with the method's `title` if there is none."""
    if layout.grid is None:
        raise UnsupportedError(
            f"{title} needs its visual tokens on a regular grid, and a picture cut into crops has "
            "none. Choose a method that needs no grid, or another model."
        )
    return layout.grid


def smaller(grid: tuple[int, int, int], count: int) -> tuple[int, int, int]:
    """The grid (T, rows, cols) of about `count` tokens for the same frames, made smaller.

    One side is within one token of the aspect ratio. Of equally near counts the smaller wins, then
    the aspect ratio.
    """
    frames, rows, cols = grid

    def merit(sides: tuple[int, int]) -> tuple[float, int, float]:
        down, across = sides
        size = down * across
        stretch = sorted((down * cols, across * rows))
        return abs(size - count / frames), size, stretch[1] / stretch[0]

    def has_aspect(down: int, across: int) -> bool:
        return min(abs(down - across * rows / cols), abs(across - down * cols / rows)) <= 1

    sides = product(range(1, rows + 1), range(1, cols + 1))
    return frames, *min((pair for pair in sides if has_aspect(*pair)), key=merit)


def blocks(whole: int, parts: int, device: torch.device) -> Tensor:
    """(parts, whole) shares of each token of a side in each of `parts` equal blocks of it."""
    edge = widest(torch.arange(parts + 1, device=device)) * whole / parts
    place = torch.arange(whole, device=device)  # (whole,)
    overlap = torch.minimum(edge[1:, None], place + 1) - torch.maximum(edge[:-1, None], place)
    return (overlap.clamp_min(0) * parts / whole).float()


def coordinates(grid: tuple[int, int, int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Frame, row and column (N,) int64 of each token."""
    frames, rows, cols = grid
    line = torch.arange(frames * rows * cols, device=device) // cols
    return line // rows, line % rows, torch.arange(cols, device=device).repeat(frames * rows)


def rank_in_cells(grid: tuple[int, int, int], side: int, scores: Tensor) -> Tensor:
    """(N,) int64 rank of each token in its `side` × `side` cell; 0 = best score.

    The cells of the last row and column may be smaller.
    """
    frames, rows, cols = grid
    down, across = -(-rows // side), -(-cols // side)
    field = scores.view(grid)
    if rows % side or cols % side:
        field = pad(field, (0, across * side - cols, 0, down * side - rows), value=-torch.inf)
    cell = field.view(frames, down, side, across, side).transpose(2, 3).flatten(3)
    rank = rank_each(cell).view(frames, down, across, side, side).transpose(2, 3)
    whole: Tensor = rank.reshape(frames, down * side, across * side)[:, :rows, :cols]
    return whole.flatten()


def proximity(grid: tuple[int, int, int], of: Tensor, share: float) -> Tensor:
    """(K, N) weights that fall linearly from 1 at a token to 0 at the reach; 0 across frames.

    Args:
        grid: (T, rows, cols).
        of: (K,) int64 tokens to measure from.
        share: the reach, as a share of the diagonal of a frame.
    """
    frames, rows, cols = grid
    reach = max(share * math.hypot(rows - 1, cols - 1), 1e-6)
    sides = (torch.arange(side, dtype=torch.float32, device=of.device) for side in (rows, cols))
    place = torch.cartesian_prod(*sides).expand(frames, -1, -1).flatten(0, 1)  # (N, 2)
    distance = torch.cdist(place[of], place, compute_mode="donot_use_mm_for_euclid_dist")  # (K, N)
    near = (1 - distance / reach).clamp_min(0)
    if frames == 1:
        return near
    frame = torch.arange(len(place), device=of.device) // (rows * cols)  # (N,)
    return near * (frame[of, None] == frame)


def of_anchors(marked: Tensor, view: LayerView) -> Tensor:
    """(V,) bool: the rows of a view whose place is `marked` (T · rows · cols,) bool."""
    by_token = torch.zeros(len(view.layout) + 1, dtype=torch.bool, device=marked.device)
    placed = torch.from_numpy(view.layout.placed).to(marked.device)
    by_token[:-1][placed] = marked  # the last entry is for −1, placeless
    return by_token[view.anchors]
