"""Cuts a frame into a given number of windows, for pooling and even grids."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def shares(total: int, parts: int) -> list[int]:
    """`total` in `parts` whole numbers that differ by at most one, evenly spread."""
    return [(part + 1) * total // parts - part * total // parts for part in range(parts)]


def windows_of(count: int, height: int, width: int) -> Tensor:
    """(count, 4) int64 windows over a frame in raster order; they may overlap.

    Each is (top, bottom, left, right); bottom and right are exclusive.
    """
    in_rows = rows_of(count, height, width)
    windows = [
        (*window(row, len(in_rows), height), *window(col, cols, width))
        for row, cols in enumerate(in_rows)
        for col in range(cols)
    ]
    return torch.tensor(windows, dtype=torch.int64).view(-1, 4)


def partition(count: int, height: int, width: int) -> Tensor:
    """(height · width,) int64 window of each token, of `count` (at least 1) that do not overlap."""
    in_rows = torch.tensor(rows_of(max(count, 1), height, width))  # (R,)
    row, col = torch.arange(height) * len(in_rows) // height, torch.arange(width)
    cols = in_rows[row][:, None]  # (height, 1) windows in the row
    first = (in_rows.cumsum(0) - in_rows)[row][:, None]  # (height, 1)
    return (first + col * cols // width).flatten()


def rows_of(count: int, height: int, width: int) -> list[int]:
    """Number of windows in each row, so that windows have nearly the aspect ratio of the frame."""
    rows = round(math.sqrt(count * height / width))
    rows = min(max(rows, -(-count // width), 1), height, count)
    return shares(count, rows) if count else []


def window(index: int, parts: int, length: int) -> tuple[int, int]:
    return index * length // parts, -(-(index + 1) * length // parts)


def middle(windows: Tensor, width: int) -> Tensor:
    """(K,) raster index of the token nearest to the centre of each window (K, 4)."""
    top, bottom, left, right = windows.T
    nearest: Tensor = (top + bottom - 1) // 2 * width + (left + right - 1) // 2
    return nearest
