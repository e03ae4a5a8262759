"""Several kinds of survivors in one sequence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pruning.token_map import TokenMap


def joined(parts: Mapping[str, TokenMap], scores: Tensor | None = None) -> TokenMap:
    """All parts' survivors in the order of their anchors, each tagged with its part's name."""
    maps = list(parts.values())
    sizes = torch.tensor([len(part) for part in maps])
    anchors = torch.cat([part.anchors for part in maps])  # (K,)
    device = anchors.device
    kind = torch.arange(len(maps), device=device).repeat_interleave(sizes.to(device))  # (K,)
    offsets = (sizes.cumsum(0) - sizes).tolist()
    rows = torch.cat([part.rows + offset for part, offset in zip(maps, offsets, strict=True)])
    order = anchors.argsort(stable=True)  # (K,): of equal anchors, the earlier part first
    rows, edges = order.argsort()[rows].sort(stable=True)  # (E,)
    return TokenMap(
        n=maps[0].n,
        anchors=anchors[order],
        rows=rows,
        cols=torch.cat([part.cols for part in maps])[edges],
        weights=torch.cat([part.weights for part in maps])[edges],
        tags={name: kind[order] == index for index, name in enumerate(parts)},
        scores=scores,
    )
