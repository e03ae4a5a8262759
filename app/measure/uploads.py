"""Random uploads and visual tokens for measurements: the question, noise, tokens of a clip."""

from __future__ import annotations

import math

import numpy as np
import torch

from models.uploads.media import Media
from pruning.tokens import TokenLayout, VisualTokens

QUESTION = "Please describe what is shown here, and say where the largest thing is."
CENTRE = ((0.5, 0.5, 1.0),)  # of gaze, for methods that need it
KEYS, KEY_HEADS = 1152, 16  # width and heads of SigLIP so400m's keys


def random_upload(frames: int, size: tuple[int, int]) -> Media:
    """Seeded noise: a picture if `frames` is 0, else a clip that changes a little between frames.

    Args:
        size: (height, width) in pixels.
    """
    draw, kind = np.random.default_rng(0), "video" if frames else "image"
    still = draw.integers(0, 192, (*size, 3), dtype=np.uint8)
    moving = draw.integers(0, 64, (frames or 1, *size, 3), dtype=np.uint8)
    return Media(still + moving, np.arange(len(moving), dtype=np.float64), kind, "drawn", 0.0)


def random_clip(frames: int, tokens: int, width: int) -> VisualTokens:
    """A seeded clip that changes slowly: cosines of nearly 0.9 between frames."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(1, tokens, width, generator=draw) + 0.5
    features = features + 0.4 * torch.randn(frames, tokens, width, generator=draw)  # (T, N, D)
    rows = next(side for side in range(math.isqrt(tokens), 0, -1) if tokens % side == 0)
    return VisualTokens(
        features.flatten(0, 1),
        TokenLayout.regular(frames, rows, tokens // rows),
        attention=torch.randn(frames * tokens, generator=draw).softmax(0),
        keys=torch.randn(frames * tokens, KEYS, generator=draw),
        key_heads=KEY_HEADS,
        frames=features.mean(dim=1),
    )
