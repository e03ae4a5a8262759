"""Retention ratio to counts and back. A ratio is visual tokens averaged over LLM layers, over N."""

from __future__ import annotations

import math
from dataclasses import dataclass


class BudgetError(ValueError):
    """The asked ratio is below what the method can reach on this model; says the smallest."""

    def __init__(self, title: str, why: str, smallest: float, asked: float) -> None:
        self.smallest = smallest
        shown = math.ceil(smallest * 1000 - 1e-9) / 1000  # up, so that what it says can be asked for
        super().__init__(
            f"{title} {why}, so its smallest retention ratio here is {shown:.1%}; asked {asked:.1%}."
        )


@dataclass(frozen=True)
class Budget:
    """How many visual tokens a method leaves, before the LLM and before each pruning layer."""

    before: int
    inner: tuple[tuple[int, int], ...] = ()  # (LLM layer, tokens from that layer on), ascending

    def per_layer(self, num_layers: int) -> list[int]:
        """Visual tokens that each LLM layer processes."""
        counts, alive, inner = [], self.before, dict(self.inner)
        for layer in range(num_layers):
            alive = inner.get(layer, alive)
            counts.append(alive)
        return counts

    def average(self, num_layers: int) -> float:
        return sum(self.per_layer(num_layers)) / num_layers


def scaled_layer(reference: int, num_layers: int, reference_depth: int = 32) -> int:
    """A pruning layer named for a `reference_depth` LLM, on one of another depth."""
    return min(max(1, math.floor(reference * num_layers / reference_depth + 0.5)), num_layers - 1)


def before_llm(title: str, num_tokens: int, ratio: float, smallest: int = 1) -> Budget:
    """A share of the N tokens, the same through every layer."""
    keep = round(ratio * num_tokens)
    if keep < smallest:
        why = f"needs {smallest} of {num_tokens} visual tokens"
        raise BudgetError(title, why, smallest / num_tokens, ratio)
    return Budget(before=keep)


def one_stage(
    title: str, num_tokens: int, num_layers: int, ratio: float, layer: int, before: int | None = None
) -> Budget:
    """All `before` (default: all N) tokens up to `layer`, then the count that makes the average."""
    before = num_tokens if before is None else before
    if ratio >= 1:
        return Budget(before=num_tokens)
    smallest = (layer * before + (num_layers - layer)) / (num_layers * num_tokens)
    target = ratio * num_tokens * num_layers  # token-layers to spend
    keep = round((target - layer * before) / (num_layers - layer))
    if keep < 1:
        why = f"keeps {before} tokens in its first {layer} of {num_layers} layers"
        raise BudgetError(title, why, smallest, ratio)
    return Budget(before=before, inner=((layer, min(keep, before)),))
