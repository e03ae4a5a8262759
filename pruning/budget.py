"""Retention ratio to counts and back. A ratio is visual tokens averaged over LLM layers, over N."""

from __future__ import annotations

import math
from dataclasses import dataclass


class BudgetError(ValueError):
    """The asked ratio is below what the method can reach on this model; says the smallest."""

    smallest: float


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


def refusal(title: str, why: str, smallest: float, asked: float) -> BudgetError:
    shown = math.ceil(smallest * 1000 - 1e-9) / 1000  # rounded up, so that it can be asked for
    ratios = f"{100 * shown:.1f} %, and {100 * asked:.1f} % came"
    error = BudgetError(
        f"{title} {why}: its smallest retention ratio here is {ratios}. Ask for more."
    )
    error.smallest = smallest
    return error


def before_llm(title: str, num_tokens: int, ratio: float, smallest: int = 1) -> Budget:
    """A share of the N tokens, the same through every layer."""
    keep = round(ratio * num_tokens)
    if keep < smallest:
        why = f"needs {smallest} of {num_tokens} visual tokens"
        raise refusal(title, why, smallest / num_tokens, ratio)
    return Budget(before=keep)


def one_stage(
    title: str,
    num_tokens: int,
    num_layers: int,
    ratio: float,
    layer: int,
    before: int | None = None,
) -> Budget:
    """All `before` (default: all N) tokens up to `layer`, then the count that makes the average."""
    if ratio >= 1:
        return Budget(before=num_tokens)
    before = num_tokens if before is None else before
    deep = num_layers - layer
    keep = round((ratio * num_tokens * num_layers - layer * before) / deep)
    if keep < 1:
        why = f"prunes before layer {layer} of {num_layers} and keeps {before} tokens until then"
        smallest = (layer * before + deep) / (num_layers * num_tokens)
        raise refusal(title, why, smallest, ratio)
    return Budget(before=before, inner=((layer, min(keep, before)),))


def expanded(
    title: str, num_tokens: int, num_layers: int, ratio: float, layer: int, expansion: float
) -> Budget:
    """`expansion` times the asked average up to `layer`, as far as the layers after can pay."""
    target, deep = ratio * num_tokens, num_layers - layer
    payable = math.floor((target * num_layers - deep) / layer)
    before = min(num_tokens, round(expansion * target), payable)
    if before < 1:
        raise refusal(title, f"needs 1 of {num_tokens} visual tokens", 1 / num_tokens, ratio)
    return one_stage(title, num_tokens, num_layers, ratio, layer, before)


def two_stage(
    title: str, num_tokens: int, num_layers: int, ratio: float, layer: int, stage_ratio: float
) -> Budget:
    """`stage_ratio` times as many tokens before `layer` as from it on; at most all N."""
    if ratio >= 1:
        return Budget(before=num_tokens)
    target, deep = ratio * num_tokens * num_layers, num_layers - layer
    after = max(1, round(target / (stage_ratio * layer + deep)))
    before = round((target - after * deep) / layer)
    if before > num_tokens:
        return one_stage(title, num_tokens, num_layers, ratio, layer)
    if before < 1:
        raise refusal(title, f"needs 1 of {num_tokens} visual tokens", 1 / num_tokens, ratio)
    return Budget(before=before, inner=((layer, min(after, before)),))
