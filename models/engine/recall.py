"""Lets a method choose, in each decode step, the cached visual rows that later layers read.

The caches stay whole: layers get a copy of the rows that they read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from models.engine.base import Sequence
from models.engine.capture import decoder_attention
from models.engine.decoder import Decoder, Rope
from pruning.base import CompressionMethod
from pruning.budget import Budget
from pruning.ops.select import remaining
from pruning.tokens import StepView


@dataclass(frozen=True, eq=False)
class PartialCache:
    """A cache of which layers read some rows. It appends to the whole cache."""

    whole: DynamicCache
    rows: Tensor  # (R,) int64 rows to read, the new one included

    def update(self, keys: Tensor, values: Tensor, *where: Any, **how: Any) -> tuple[Tensor, ...]:
        """Appends as the whole cache does; returns the keys and values (1, G, R, d) to read."""
        return tuple(
            each[:, :, self.rows] for each in self.whole.update(keys, values, *where, **how)
        )


class Recall:
    """Runs `method.recall` in each decode step of one lane, before `layer`."""

    def __init__(
        self, decoder: Decoder, method: CompressionMethod, budget: Budget, last: Sequence
    ) -> None:
        assert budget.reads is not None
        self.decoder, self.method, self.last = decoder, method, last
        self.layer, self.keep = budget.reads
        if any(layer >= self.layer for layer, _ in budget.inner) or budget.trims_from is not None:
            raise ValueError("Decode can read part of the caches only behind all pruning layers.")
        self.previous: Tensor | None = None  # (H, 1, V) attention of the step before
        self.counts: list[int] = []  # visual rows that were read, by step

    def narrow(self, cache: DynamicCache, entered: Tensor, rope: Rope) -> PartialCache:
        """The cache that layers from `layer` on read in this step.

        Args:
            cache: of all rows; up to the layer before, the new token is in it.
            entered: (1, D) input of the layer before.
            rope: rotary tables of the layer before, for one row.
        """
        visual, keys = self.last.visual, cache.layers[self.layer - 1].keys[0]  # (V,), (G, S, d)
        new = torch.zeros(1, dtype=torch.int64, device=keys.device)
        attention = decoder_attention(self.decoder, self.layer - 1, entered, rope, new, keys)
        attention = attention[:, :, visual]  # (H, 1, V)
        view = StepView(self.layer, self.last.anchors, self.last.layout, attention, self.previous)
        chosen = self.method.recall(view, self.keep)
        assert chosen.is_selection, "cached rows can be left out, not merged"
        self.previous = attention
        self.counts.append(len(chosen))
        unread = remaining(chosen.cols, len(visual))
        return PartialCache(cache, remaining(visual[unread], keys.shape[1]))

    def reads(self, cached: list[int]) -> tuple[float, ...]:
        """Visual rows that each layer reads in a decode step, on average, of those `cached`."""
        mean = sum(self.counts) / len(self.counts)
        return *map(float, cached[: self.layer]), *[mean] * (len(cached) - self.layer)
