"""Selection of relevant and dissimilar tokens: ADTS of FlashVID."""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.ops.similarity import cosine


def relevance(tokens: Tensor, segment: Tensor) -> Tensor:
    """(T, N) product of each token with the mean token of its segment.

    Args:
        tokens: (T, N, D).
        segment: (T,) int64 segment of each frame, ascending from 0.
    """
    means = tokens.mean(dim=1)  # (T, D)
    together = (segment[:, None] == segment).float()  # (T, T)
    event = together @ means / together.sum(dim=1, keepdim=True)  # (T, D)
    return (tokens @ event[:, :, None]).squeeze(2)


def diverse(tokens: Tensor, weight: Tensor, count: int) -> Tensor:
    """(T, N) bool: `count` tokens of every frame, chosen greedily by the max–min distance.

    The distance is the cosine distance times the `weight` (T, N) of the candidate. Each choice
    depends on those before it; all frames choose at the same time.
    """
    reach = (1 - cosine(tokens, tokens)) * weight[:, None]  # (T, N, N) from chosen to candidate
    itself = torch.eye(reach.shape[1], dtype=torch.bool, device=reach.device)
    nearest = reach.masked_fill(itself, torch.inf).amin(dim=1)  # (T, N)
    chosen = torch.zeros_like(nearest, dtype=torch.bool)
    frame = torch.arange(len(tokens), device=tokens.device)
    for turn in range(count):
        pick = nearest.masked_fill(chosen, -torch.inf).argmax(dim=1)  # (T,)
        chosen[frame, pick] = True
        row = reach[frame, pick]  # (T, N)
        nearest = torch.minimum(nearest, row) if turn else row  # the first choice: only its own
    return chosen
