"""Retention ratio to counts and back. A ratio is visual tokens averaged over LLM layers, over N."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

ROUNDING = 1e-9  # of a ratio or a count that went through floating point


class BudgetError(ValueError):
    """The asked ratio is below what the method can reach on this model; says the smallest."""

    smallest: float


@dataclass(frozen=True)
class Averages:
    """Visual tokens averaged over LLM layers, counted in the three ways of `Budget`."""

    processed: float
    cached: float
    handed_on: float


@dataclass(frozen=True)
class Budget:
    """How many visual tokens a method leaves, before the LLM and before each pruning layer.

    Papers count them in three ways: what a layer processes (`per_layer`, what a retention ratio
    means here), what its cache holds (`in_cache`), and what is left after it (`left_by`).
    """

    before: int
    inner: tuple[tuple[int, int], ...] = ()  # (LLM layer, tokens from that layer on), ascending
    trims_from: int | None = None  # from this layer on, every cache ends with the last survivors
    first_stage: int = 0  # which of the method's pruning layers `inner` begins with

    def per_layer(self, num_layers: int) -> list[int]:
        """Visual tokens that each LLM layer processes."""
        counts, alive, inner = [], self.before, dict(self.inner)
        for layer in range(num_layers):
            alive = inner.get(layer, alive)
            counts.append(alive)
        return counts

    def in_cache(self, num_layers: int) -> list[int]:
        """Visual tokens that the cache of each LLM layer holds after prefill."""
        counts = self.per_layer(num_layers)
        if self.trims_from is None:
            return counts
        kept = counts[: self.trims_from]
        return kept + counts[-1:] * (num_layers - len(kept))

    def left_by(self, num_layers: int) -> list[int]:
        """Visual tokens that each LLM layer hands on: it counts as pruned what goes right after it.

        The mean of these is the label of many papers ("192 tokens"), and less than was processed.
        """
        counts = self.per_layer(num_layers)
        return counts[1:] + counts[-1:]

    def average(self, num_layers: int) -> float:
        return sum(self.per_layer(num_layers)) / num_layers

    def averages(self, num_layers: int) -> Averages:
        ways = self.per_layer, self.in_cache, self.left_by
        return Averages(*(sum(counted(num_layers)) / num_layers for counted in ways))


def scaled_layer(reference: int, num_layers: int, reference_depth: int = 32) -> int:
    """A pruning layer named for a `reference_depth` LLM, on one of another depth."""
    check_depth(num_layers)
    return min(max(1, math.floor(reference * num_layers / reference_depth + 0.5)), num_layers - 1)


def layer_behind(share: float, num_layers: int) -> int:
    """A pruning layer behind a share below 1 of an LLM's layers."""
    check_depth(num_layers)
    return max(1, int(share * num_layers))


def check_depth(num_layers: int) -> None:
    """Raise ValueError for an LLM that has no layer with one before it."""
    if num_layers < 2:
        raise ValueError(
            f"An LLM of {num_layers} layer came, and pruning inside it wants at least 2 layers. "
            "Choose a method that compresses before the LLM alone."
        )


def scaled_layers(
    references: Sequence[int], num_layers: int, reference_depth: int = 32
) -> tuple[int, ...]:
    """Pruning layers likewise, no two the same; those that a shallow LLM has no room for go."""
    layers: list[int] = []
    for reference in references:
        next_free = layers[-1] + 1 if layers else 1
        layers.append(max(next_free, scaled_layer(reference, num_layers, reference_depth)))
    return tuple(layer for layer in layers if layer < num_layers)


def at_least(smallest: float) -> str:
    """A smallest ratio as a person may ask for it: rounded up to a tenth of a per cent."""
    return f"{math.ceil(1000 * smallest - ROUNDING) / 10:.1f} %"


def require(title: str, why: str, smallest: float, asked: float) -> None:
    """Raise the refusal of a ratio that is below the smallest."""
    if asked >= smallest - ROUNDING:
        return
    ratios = f"{at_least(smallest)}, and {100 * asked:.1f} % came"
    error = BudgetError(
        f"{title} {why}: its smallest retention ratio here is {ratios}. Ask for more."
    )
    error.smallest = smallest
    raise error


def require_a_token(title: str, num_tokens: int, ratio: float) -> None:
    """For a method that may leave a single token to every layer."""
    require(title, f"needs 1 of {num_tokens} visual tokens", 1 / num_tokens, ratio)


def before_llm(title: str, num_tokens: int, ratio: float) -> Budget:
    """A share of the N tokens, the same through every layer."""
    require_a_token(title, num_tokens, ratio)
    return Budget(before=max(1, round(ratio * num_tokens)))


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
    why = f"prunes before layer {layer} of {num_layers} and keeps {before} tokens until then"
    require(title, why, (layer * before + deep) / (num_layers * num_tokens), ratio)
    keep = max(1, round((ratio * num_tokens * num_layers - layer * before) / deep))
    return Budget(before=before, inner=((layer, min(keep, before)),))


def expanded(
    title: str, num_tokens: int, num_layers: int, ratio: float, layer: int, expansion: float
) -> Budget:
    """`expansion` times the asked average up to `layer`, as far as the layers after can pay."""
    require_a_token(title, num_tokens, ratio)
    target, deep = ratio * num_tokens, num_layers - layer
    payable = math.floor((target * num_layers - deep) / layer + ROUNDING)
    before = min(num_tokens, round(expansion * target), payable)
    return one_stage(title, num_tokens, num_layers, ratio, layer, before)


def two_stage(
    title: str, num_tokens: int, num_layers: int, ratio: float, layer: int, stage_ratio: float
) -> Budget:
    """`stage_ratio` times as many tokens before `layer` as from it on; at most all N."""
    require_a_token(title, num_tokens, ratio)
    if ratio >= 1:
        return Budget(before=num_tokens)
    target, deep = ratio * num_tokens * num_layers, num_layers - layer
    average = math.floor(target / num_layers + ROUNDING)  # no more than this can be left
    after = max(1, min(average, round(target / (stage_ratio * layer + deep))))
    before = round((target - after * deep) / layer)
    if before > num_tokens:
        return one_stage(title, num_tokens, num_layers, ratio, layer)
    return Budget(before=before, inner=((layer, after),))


def staged(
    title: str,
    num_tokens: int,
    num_layers: int,
    ratio: float,
    layers: Sequence[int],
    pattern: Sequence[float],
) -> Budget:
    """All N tokens up to the first of `layers`, then counts in the proportions of `pattern`.

    A stage that could keep more than all N does not prune: the later ones then pay alone.
    """
    if ratio >= 1:
        return Budget(before=num_tokens)
    first, target = layers[0], ratio * num_tokens * num_layers
    payable, deep = target - first * num_tokens, num_layers - first
    why = f"prunes first before layer {first} of {num_layers} and keeps {num_tokens} tokens"
    smallest = (first * num_tokens + deep) / (num_layers * num_tokens)
    require(title, f"{why} until then", smallest, ratio)
    counts = shared(payable, pattern[: len(layers)], layers, num_layers)
    if counts[0] > num_tokens:
        later = staged(title, num_tokens, num_layers, ratio, layers[1:], pattern[1:])
        return replace(later, first_stage=later.first_stage + 1)
    return Budget(before=num_tokens, inner=tuple(zip(layers, map(round, counts), strict=True)))


def shared(
    payable: float, pattern: Sequence[float], layers: Sequence[int], num_layers: int
) -> list[float]:
    """Counts in the proportions of `pattern` that use up what is payable.

    Where they would end below one token, the last stage has one and those before share the rest.
    """
    scale = payable / weighed(pattern, layers, num_layers)
    *earlier, last = pattern
    if scale * last >= 1 or not earlier:
        return [max(1.0, scale * count) for count in pattern]
    end = layers[len(earlier)]
    return [*shared(payable - (num_layers - end), earlier, layers[: len(earlier)], end), 1.0]


def staged_by_share(
    title: str,
    num_tokens: int,
    num_layers: int,
    ratio: float,
    layers: Sequence[int],
    counts: Callable[[float], Sequence[float]],
) -> Budget:
    """`staged` by the one share in 0..1 whose `counts` meet the ratio; they grow with the share."""
    payable = (ratio * num_layers - layers[0]) * num_tokens
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        enough = weighed(counts(share), layers, num_layers) >= payable
        low, high = (low, share) if enough else (share, high)
    return staged(title, num_tokens, num_layers, ratio, layers, counts(high))


def weighed(counts: Sequence[float], layers: Sequence[int], num_layers: int) -> float:
    """Tokens over all layers from the first of `layers` on, `counts` from each of them on."""
    ends = [*layers[1:], num_layers]
    stages = zip(counts, layers, ends, strict=False)
    return sum(count * (end - layer) for count, layer, end in stages)
