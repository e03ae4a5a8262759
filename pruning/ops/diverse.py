"""Choosing tokens that matter and are unlike each other: the selector of FlashVID's ADTS."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.ops.similarity import cosine


def relevance(tokens: Tensor, segment: Tensor) -> Tensor:
    """(T, N) how much a token is about its segment: its product with the segment's mean token.

    Args:
        tokens: (T, N, D).
        segment: (T,) int64, ascending from 0.
    """
    means = tokens.mean(dim=1)  # (T, D)
    together = (segment[:, None] == segment).float()  # (T, T)
    event = together @ means / together.sum(dim=1, keepdim=True)  # (T, D)
    return (tokens @ event[:, :, None]).squeeze(2)


def diverse(tokens: Tensor, weight: Tensor, count: int) -> Tensor:
    """(T, N) bool: `count` tokens of every frame, each in turn the farthest from those before it.

    Farthest by cosine distance times the candidate's own `weight` (T, N): a max–min greedy walk,
    whose turns cannot be taken at once; all frames take each turn together.
    """
    reach = (1 - cosine(tokens, tokens)) * weight[:, None]  # (T, N, N) chosen to candidate
    itself = torch.eye(reach.shape[1], dtype=torch.bool, device=reach.device)
    nearest = reach.masked_fill(itself, torch.inf).amin(dim=1)  # (T, N)
    chosen = torch.zeros_like(nearest, dtype=torch.bool)
    frame = torch.arange(len(tokens), device=tokens.device)
    for turn in range(count):
        pick = nearest.masked_fill(chosen, -torch.inf).argmax(dim=1)  # (T,)
        chosen[frame, pick] = True
        row = reach[frame, pick]  # (T, N)
        nearest = torch.minimum(nearest, row) if turn else row  # the first is far from all
    return chosen
