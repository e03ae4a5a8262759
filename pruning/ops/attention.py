"""Scaled dot-product attention, written down: what fast kernels never show."""

from __future__ import annotations

import torch
from torch import Tensor


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


def rotary_bias(queries: Tensor, keys: Tensor) -> Tensor:
    """Logits (Q, S) that rotary embedding alone would give: of vectors of ones; may be negative.

    Args:
        queries: (2, Q, d) cosines and sines of the queries' rows.
        keys: (2, S, d) likewise.
    """
    logits: Tensor = (queries.float() @ keys.float().mT).sum(dim=0) / queries.shape[-1] ** 0.5
    return logits
