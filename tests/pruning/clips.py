"""Clips whose course is known, for the video methods and the mathematics behind them."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.tokens import TokenLayout, VisualTokens
from tests.pruning.synthetic import random

T, SIDE, WIDTH = 8, 5, 16
N = SIDE * SIDE
ALL = torch.ones(T, N, dtype=torch.bool)


def clip(noise: float = 0.3, seed: int = 0) -> Tensor:
    """(T, N, D) frames that stay nearly alike; of positive mean, as behind a projector."""
    still = random(1, N, WIDTH, seed=seed)
    return still + noise * random(T, N, WIDTH, seed=seed + 1) + 1


def seen(tokens: Tensor, seed: int = 2) -> VisualTokens:
    layout = TokenLayout.regular(len(tokens), SIDE, SIDE)
    attention = random(len(layout), seed=seed).softmax(0)
    return VisualTokens(tokens.flatten(0, 1), layout, attention, frames=tokens.mean(dim=1))
