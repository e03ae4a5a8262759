"""Scaled dot-product attention, written down: what fast kernels never show."""

from __future__ import annotations

import torch
from torch import Tensor

AWAY = 1e-6


def attend(queries: Tensor, keys: Tensor, scale: float, rows: Tensor | None = None) -> Tensor:
    """Attention (H, Q, S) float32 of queries (H, Q, d) over keys (G, S, d); G divides H.

    With `rows` (Q,), the place of each query among the keys, no query sees a later key.
    """
    groups = queries.reshape(len(keys), -1, *queries.shape[1:])  # (G, H/G, Q, d)
    scores = groups.float() @ keys.float().transpose(1, 2)[:, None] * scale  # (G, H/G, Q, S)
    if rows is not None:
        later = torch.arange(keys.shape[1], device=rows.device) > rows[:, None]  # (Q, S)
        scores = scores.masked_fill(later, -torch.inf)
    attention: Tensor = scores.softmax(dim=-1).flatten(0, 1)
    return attention


def received(attention: Tensor) -> Tensor:
    """(H, Q, V) -> (V,) float32: the mean over heads and queries."""
    mean: Tensor = attention.float().mean(dim=(0, 1))
    return mean


def rotary_bias(queries: Tensor, keys: Tensor) -> Tensor:
    """Logits (Q, S) that rotary embedding alone would give: of vectors of ones.

    They may be negative, and are kept `AWAY` from zero, since attention is divided by them.

    Args:
        queries: (2, Q, d) cosines and sines of the queries' rows.
        keys: (2, S, d) likewise.
    """
    logits: Tensor = (queries.float() @ keys.float().mT).sum(dim=0) / queries.shape[-1] ** 0.5
    return torch.where(logits.abs() < AWAY, AWAY, logits)
