"""Scaled dot-product attention with its weights, which fast kernels do not return."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-6  # magnitude of a divisor


def attend(queries: Tensor, keys: Tensor, scale: float, closed: Tensor | None = None) -> Tensor:
    """Attention (H, Q, S) float32 of queries (H, Q, d) over keys (G, S, d); G divides H.

    `closed` (Q, S) bool marks the keys that a query does not see.
    """
    groups = queries.reshape(len(keys), -1, *queries.shape[1:])  # (G, H/G, Q, d)
    scores = groups.float() @ keys.float().transpose(1, 2)[:, None] * scale  # (G, H/G, Q, S)
    if closed is not None:
        scores = scores.masked_fill(closed, -torch.inf)
    attention: Tensor = scores.softmax(dim=-1).flatten(0, 1)
    return attention


def received(attention: Tensor) -> Tensor:
    """(H, Q, V) -> (V,) float32 mean over heads and queries."""
    mean: Tensor = attention.float().mean(dim=(0, 1))
    return mean


def rotary_bias(queries: Tensor, keys: Tensor) -> Tensor:
    """Logits (Q, S) of rotary embedding alone: those of queries and keys of ones.

    They may be negative. Attention is divided by them, so values near zero become `SMALLEST`.

    Args:
        queries: (2, Q, d) cosines and sines of the queries' rotary angles.
        keys: (2, S, d) likewise.
    """
    logits: Tensor = (queries.float() @ keys.float().mT).sum(dim=0) / queries.shape[-1] ** 0.5
    return torch.where(logits.abs() < SMALLEST, SMALLEST, logits)
