"""Signals that no encoder gives: where the asker looks, and where a clip changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from models.engine.checks import Gaze
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.tokens import TokenLayout, VisualTokens

NOISE = 0.2  # smallest change of log brightness that counts; event cameras have such a threshold
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # of red, green and blue


def with_request_signals(
    visual: VisualTokens, method: CompressionMethod, media: Media, gaze: Gaze
) -> VisualTokens:
    """Adds the signals of the request that the method needs."""
    wanted, device = method.needs.request, visual.features.device
    signals = {}
    if "gaze" in wanted:
        signals["gaze"] = torch.tensor(gaze, device=device)
    if "events" in wanted:
        signals["events"] = torch.from_numpy(events(media.frames, visual.layout)).to(device)
    return replace(visual, **signals)


def events(frames: np.ndarray, layout: TokenLayout) -> np.ndarray:
    """Mean change (N,) float32 of log brightness since the frame before, over each token's box.

    A token takes the changes of its frame and of those up to the next frame with tokens.

    Args:
        frames: (T, H, W, 3) uint8.
        layout: of the clip; a token without a place has no events.
    """
    found, first = np.zeros(len(layout), dtype=np.float32), np.unique(layout.frame)
    owner = first.searchsorted(np.arange(len(frames)), side="right") - 1  # of each frame
    total, last = np.zeros(frames.shape[1:3]), len(frames) - 1
    for index, change in enumerate(changes(frames)):
        total = total + change
        if index == last or owner[index + 1] != owner[index]:
            tokens = np.flatnonzero((layout.frame == first[owner[index]]) & layout.placed)
            found[tokens] = box_means(total, layout.box[tokens])
            total = np.zeros_like(total)
    return found


def changes(frames: np.ndarray) -> Iterator[np.ndarray]:
    """For each frame (H, W) the change since the one before; for the first, that to the second."""
    before = None
    for index, frame in enumerate(frames):
        now = np.log1p(frame @ LUMA)  # (H, W)
        other = np.log1p(frames[1] @ LUMA) if index == 0 and len(frames) > 1 else before
        change = np.zeros_like(now) if other is None else abs(now - other)
        yield np.where(change < NOISE, 0, change)
        before = now


def box_means(values: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Mean (N,) of `values` (H, W) over each box (N, 4), of at least one pixel."""
    height, width = values.shape
    below = np.zeros((height + 1, width + 1))  # sums over all pixels above and left
    below[1:, 1:] = values.cumsum(0).cumsum(1)
    left, top, right, bottom = (box * [width, height, width, height]).round().astype(int).T
    left, top = left.clip(0, width - 1), top.clip(0, height - 1)
    right, bottom = np.maximum(right.clip(0, width), left + 1), np.maximum(bottom, top + 1)
    bottom = bottom.clip(0, height)
    whole = below[bottom, right] - below[top, right] - below[bottom, left] + below[top, left]
    means: np.ndarray = whole / ((right - left) * (bottom - top))
    return means
