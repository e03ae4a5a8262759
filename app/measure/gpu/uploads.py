"""What is measured on: drawn uploads, and visual tokens of a published size."""

from __future__ import annotations

import math

import numpy as np
import torch

from models.uploads.media import Media
from pruning.tokens import TokenLayout, VisualTokens

QUESTION = "Please describe what is shown here, and say where the largest thing is."
KEYS, KEY_HEADS = 1152, 16  # width and heads of SigLIP so400m's keys
TEXT = 20  # rows of the question


def upload(frames: int, side: int) -> Media:
    """Seeded noise, `side` pixels square: a picture where `frames` is 0, else a clip."""
    draw = np.random.default_rng(0)
    still = draw.integers(0, 192, (side, side, 3), dtype=np.uint8)
    moving = draw.integers(0, 64, (frames or 1, side, side, 3), dtype=np.uint8)
    times, kind = np.arange(len(moving), dtype=np.float64), "video" if frames else "image"
    return Media(still + moving, times, kind, "drawn", 0.0)


def visual_tokens(frames: int, tokens: int, width: int) -> VisualTokens:
    """T frames of so many tokens (N = T · tokens, D = width) with every signal of an encoder.

    Frames change little by little: cosines of nearly 0.9 from one to the next. Of hidden states and
    received attention there are those of two layers.
    """
    draw = torch.Generator().manual_seed(0)
    first = torch.randn(1, tokens, width, generator=draw) + 0.5
    features = first + 0.4 * torch.randn(frames, tokens, width, generator=draw)  # (T, n, D)
    rows = next(side for side in range(math.isqrt(tokens), 0, -1) if tokens % side == 0)
    n = frames * tokens
    return VisualTokens(
        features.flatten(0, 1),
        TokenLayout.regular(frames, rows, tokens // rows),
        attention=torch.randn(n, generator=draw).softmax(0),
        keys=torch.randn(n, KEYS, generator=draw),
        key_heads=KEY_HEADS,
        last_attention=torch.randn(n, generator=draw).softmax(0),
        last_keys=torch.randn(n, KEYS, generator=draw),
        received=torch.randn(2, n, generator=draw).softmax(1),
        hidden=torch.randn(2, n, KEYS, generator=draw),
        frames=features.mean(dim=1),
        text=torch.randn(TEXT, width, generator=draw),
    )
