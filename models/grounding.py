"""Boxes written in an answer: read, put back on the picture, compared."""

from __future__ import annotations

import re

import numpy as np

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")


def parse_boxes(text: str) -> np.ndarray:
    """Every `[x1, y1, x2, y2]` of fractions in `text`, (M, 4) float32; all else is no box."""
    found = np.array(_BOX.findall(text), dtype=np.float64).reshape(-1, 4)
    return found[(found <= 1).all(axis=1)].astype(np.float32)


def to_picture(boxes: np.ndarray, region: tuple[float, float, float, float]) -> np.ndarray:
    """Boxes (M, 4) given as fractions of `region`, which is itself in fractions of the picture.

    What reaches beyond the picture is cut, what is empty is left out.
    """
    left, top, right, bottom = region
    scale = np.array([right - left, bottom - top] * 2)
    placed = np.clip(boxes * scale + [left, top, left, top], 0, 1)
    filled = (placed[:, 0] < placed[:, 2]) & (placed[:, 1] < placed[:, 3])
    return placed[filled].astype(np.float32)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with each of `b` (M, 4), as (M,)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64).reshape(-1, 4)
    sides = np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2])  # (M, 2)
    shared = sides.clip(min=0).prod(axis=1)
    union = (a[2:] - a[:2]).prod() + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared
    return shared / np.where(union > 0, union, 1)
