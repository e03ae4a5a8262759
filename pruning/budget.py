"""Retention ratio to token counts. A ratio is visual tokens, averaged over layers, divided by N."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pruning.errors import UnsupportedError

ROUNDING = 1e-9  # floating-point error of a ratio or a count


class BudgetError(UnsupportedError):
    """The ratio is below the smallest one that the method can reach on this model."""

    smallest: float


@dataclass(frozen=True)
class Averages:
    """Visual tokens averaged over LLM layers, counted in the three ways of `Budget`."""

    processed: float
    cached: float
    handed_on: float


@dataclass(frozen=True)
class Budget:
    """The number of visual tokens before the LLM and from each pruning layer on.

    Papers count tokens in three ways: those that a layer processes (`per_layer`, which a retention
    ratio means here), those in its cache (`in_cache`), and those left after it (`left_by`).
    """

    before: int
    inner: tuple[tuple[int, int], ...] = ()  # (LLM layer, tokens from that layer on), ascending
    trims_from: int | None = None  # caches from this layer on end with the last survivors only
    first_stage: int = 0  # index of the method's pruning layer that `inner` begins with
    # (LLM layer, cached tokens that it and later layers read in a decode step, if not all of them)
    reads: tuple[int, int] | None = None

    def entering(self, count: int) -> Budget:
        """The same budget if `count` tokens enter the LLM; no stage keeps more."""
        stages = tuple((layer, min(keep, count)) for layer, keep in self.inner)
        return replace(self, before=count, inner=stages)

    def per_layer(self, num_layers: int) -> list[int]:
        """Visual tokens that each LLM layer processes."""
        counts, alive, inner = [], self.before, dict(self.inner)
        for layer in range(num_layers):
            alive = inner.get(layer, alive)
            counts.append(alive)
        return counts

    def in_cache(self, num_layers: int) -> list[int]:
        """Visual tokens in the cache of each LLM layer after prefill."""
        counts = self.per_layer(num_layers)
        if self.trims_from is None:
            return counts
        kept = counts[: self.trims_from]
        return kept + counts[-1:] * (num_layers - len(kept))

    def left_by(self, num_layers: int) -> list[int]:
        """Visual tokens after each LLM layer. Pruning before the next layer counts.

        Many papers label a run by the mean of these ("192 tokens"). It is below the mean of the
        tokens that are processed.
        """
        counts = self.per_layer(num_layers)
        return counts[1:] + counts[-1:]

    def average(self, num_layers: int) -> float:
        return sum(self.per_layer(num_layers)) / num_layers

    def averages(self, num_layers: int) -> Averages:
        ways = self.per_layer, self.in_cache, self.left_by
        return Averages(*(sum(count(num_layers)) / num_layers for count in ways))


@dataclass(frozen=True)
class Target:
    """The retention ratio that a method must meet on a model."""

    title: str  # of the method, for error messages
    num_tokens: int  # N
    num_layers: int
    ratio: float

    @property
    def average(self) -> float:
        """Visual tokens for each layer."""
        return self.ratio * self.num_tokens

    @property
    def total(self) -> float:
        """Visual tokens of all layers together."""
        return self.ratio * self.num_tokens * self.num_layers

    def require(self, smallest: float, why: str) -> None:
        """Raise BudgetError if the ratio is below `smallest`."""
        if self.ratio >= smallest - ROUNDING:
            return
        error = BudgetError(
            f"{self.title} {why}: its smallest retention ratio here is {at_least(smallest)}, "
            f"and {100 * self.ratio:.1f} % came. Ask for more."
        )
        error.smallest = smallest
        raise error

    def require_one_token(self) -> None:
        self.require(1 / self.num_tokens, f"needs 1 of {self.num_tokens} visual tokens")


def at_least(smallest: float) -> str:
    """A smallest ratio as text, rounded up to 0.1 % so that it can be requested."""
    return f"{math.ceil(1000 * smallest - ROUNDING) / 10:.1f} %"


def scaled_layer(reference: int, num_layers: int, reference_depth: int = 32) -> int:
    """Scale a pruning layer of an LLM of `reference_depth` layers to an LLM of `num_layers`."""
    check_depth(num_layers)
    return min(max(1, math.floor(reference * num_layers / reference_depth + 0.5)), num_layers - 1)


def scaled_layers(
    references: Sequence[int], num_layers: int, reference_depth: int = 32
) -> tuple[int, ...]:
    """Scale several pruning layers, all different; a shallow LLM loses the last of them."""
    layers: list[int] = []
    for reference in references:
        next_free = layers[-1] + 1 if layers else 1
        layers.append(max(next_free, scaled_layer(reference, num_layers, reference_depth)))
    return tuple(layer for layer in layers if layer < num_layers)


def layer_behind(share: float, num_layers: int) -> int:
    """The pruning layer after `share` (below 1) of an LLM's layers."""
    check_depth(num_layers)
    return max(1, int(share * num_layers))


def check_depth(num_layers: int) -> None:
    """Raise UnsupportedError for an LLM without a layer that has another before it."""
    if num_layers < 2:
        raise UnsupportedError(
            f"An LLM of {num_layers} layer came, and pruning inside it wants at least 2 layers. "
            "Choose a method that compresses before the LLM alone."
        )


def before_llm(target: Target) -> Budget:
    """The same count in every layer."""
    target.require_one_token()
    return Budget(before=max(1, round(target.average)))


def one_stage(target: Target, layer: int, before: int | None = None) -> Budget:
    """`before` tokens (default: all N) up to `layer`, then the count that meets the average."""
    num_tokens, num_layers = target.num_tokens, target.num_layers
    if target.ratio >= 1:
        return Budget(before=num_tokens)
    before = num_tokens if before is None else before
    deep = num_layers - layer
    why = f"prunes before layer {layer} of {num_layers} and keeps {before} tokens until then"
    target.require((layer * before + deep) / (num_layers * num_tokens), why)
    keep = max(1, round((target.total - layer * before) / deep))
    return Budget(before=before, inner=((layer, min(keep, before)),))


def expanded(target: Target, layer: int, expansion: float) -> Budget:
    """`expansion` times the average up to `layer`, or as many as the later layers can pay for."""
    target.require_one_token()
    deep = target.num_layers - layer
    payable = math.floor((target.total - deep) / layer + ROUNDING)
    return one_stage(
        target, layer, min(target.num_tokens, round(expansion * target.average), payable)
    )


def two_stage(target: Target, layer: int, stage_ratio: float) -> Budget:
    """`stage_ratio` times as many tokens before `layer` as from it on; at most all N."""
    target.require_one_token()
    if target.ratio >= 1:
        return Budget(before=target.num_tokens)
    deep = target.num_layers - layer
    most = math.floor(target.total / target.num_layers + ROUNDING)  # so that some remain for before
    after = max(1, min(most, round(target.total / (stage_ratio * layer + deep))))
    before = round((target.total - after * deep) / layer)
    if before > target.num_tokens:
        return one_stage(target, layer)
    return Budget(before=before, inner=((layer, after),))


def staged(target: Target, layers: Sequence[int], pattern: Sequence[float]) -> Budget:
    """All N tokens up to the first of `layers`, then counts in the proportions of `pattern`.

    A stage whose count would exceed N does not prune; the later stages pay for it.
    """
    num_tokens, num_layers = target.num_tokens, target.num_layers
    if target.ratio >= 1:
        return Budget(before=num_tokens)
    first, deep = layers[0], num_layers - layers[0]
    why = f"prunes first before layer {first} of {num_layers} and keeps {num_tokens} tokens"
    smallest = (first * num_tokens + deep) / (num_layers * num_tokens)
    target.require(smallest, f"{why} until then")
    payable = target.total - first * num_tokens
    counts = _in_proportion(payable, pattern[: len(layers)], layers, num_layers)
    if counts[0] > num_tokens:
        later = staged(target, layers[1:], pattern[1:])
        return replace(later, first_stage=later.first_stage + 1)
    return Budget(before=num_tokens, inner=tuple(zip(layers, map(round, counts), strict=True)))


def _in_proportion(
    payable: float, pattern: Sequence[float], layers: Sequence[int], num_layers: int
) -> list[float]:
    """Counts in the proportions of `pattern` that use up `payable`.

    If the last count is below one token, it becomes one and the earlier stages share the rest.
    """
    scale = payable / _over_layers(pattern, layers, num_layers)
    *earlier, last = pattern
    if scale * last >= 1 or not earlier:
        return [max(1.0, scale * count) for count in pattern]
    end = layers[len(earlier)]
    rest = payable - (num_layers - end)
    return [*_in_proportion(rest, earlier, layers[: len(earlier)], end), 1.0]


def staged_by_share(
    target: Target, layers: Sequence[int], counts: Callable[[float], Sequence[float]]
) -> Budget:
    """`staged` with the `counts` of the share in 0..1 that meets the ratio.

    Args:
        target: the ratio to meet.
        layers: pruning layers.
        counts: tokens from each layer on, by share; they must grow with it.
    """
    payable = (target.ratio * target.num_layers - layers[0]) * target.num_tokens
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        enough = _over_layers(counts(share), layers, target.num_layers) >= payable
        low, high = (low, share) if enough else (share, high)
    return staged(target, layers, counts(high))


def _over_layers(counts: Sequence[float], layers: Sequence[int], num_layers: int) -> float:
    """Tokens of all layers together, from the first of `layers` on."""
    ends = [*layers[1:], num_layers]
    stages = zip(counts, layers, ends, strict=False)
    return sum(count * (end - layer) for count, layer, end in stages)
