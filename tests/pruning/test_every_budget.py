"""The budgets of every method, preset and some pairs of parts, over sizes, depths and ratios."""

from __future__ import annotations

import re
from functools import cache
from itertools import product

import pytest

from pruning.base import CompressionMethod
from pruning.budget import Budget, BudgetError
from pruning.methods import METHODS, create

INNER = [
    f"{method.name}:{preset}.inner"
    for method in METHODS
    if method.acts("inner")
    for preset in method.PRESETS
]
VANILLA = "vanilla:default"
PAIRS = [
    "visionzip.before+fastv.inner",
    "nuwa.before+nuwa.inner",
    "flashvid.before+ivcprune.inner",
    "ttm.before+feather.inner",
    "pooling.before+sparsevlm.inner",
    "random.before+pyramiddrop:early.inner",
]
NAMES = [
    *(f"{method.name}:{preset}" for method in METHODS for preset in method.PRESETS),
    *INNER,
    *PAIRS,
]
TOKENS = (1, 2, 36, 144, 577)
DEPTHS = (2, 3, 8, 28)
RATIOS = (0.01, 0.014, 0.028, 0.05, 1 / 9, 0.129, 0.3, 0.514, 0.75, 0.98, 1.0)

over_names = pytest.mark.parametrize("name", NAMES)


def method_of(name: str, ratio: float) -> CompressionMethod:
    return create(name, **{"retention_ratio": ratio} if name != VANILLA else {})


@cache
def resolve(name: str, ratio: float, num_tokens: int, num_layers: int) -> Budget | BudgetError:
    try:
        return method_of(name, ratio).budget(num_tokens, num_layers)
    except BudgetError as refusal:
        return refusal


def printed(refusal: BudgetError) -> float:
    """The ratio in the message."""
    (percent,) = re.findall(r"smallest retention ratio here is ([\d.]+) %", str(refusal))
    return float(percent) / 100


@over_names
def test_a_ratio_is_refused_exactly_below_the_smallest_which_is_accepted(
    name: str,
) -> None:
    for num_tokens, num_layers in product(TOKENS, DEPTHS):
        least = 0.0
        for ratio in RATIOS:
            result = resolve(name, ratio, num_tokens, num_layers)
            if isinstance(result, Budget):
                assert ratio >= least, (num_tokens, num_layers)
                continue
            least = least or result.smallest
            assert ratio < result.smallest == least <= printed(result) <= 1, (
                num_tokens,
                num_layers,
            )
            for reachable in (result.smallest, printed(result)):
                assert isinstance(resolve(name, reachable, num_tokens, num_layers), Budget)


@over_names
def test_an_accepted_ratio_is_met_within_a_token(name: str) -> None:
    for num_tokens, num_layers, ratio in product(TOKENS, DEPTHS, RATIOS):
        budget = resolve(name, ratio, num_tokens, num_layers)
        if isinstance(budget, BudgetError):
            continue
        counts = budget.per_layer(num_layers)
        wanted = num_tokens * (ratio if name != VANILLA else 1)
        assert counts == sorted(counts, reverse=True) and 1 <= counts[-1] <= counts[0] <= num_tokens
        assert abs(budget.average(num_layers) - wanted) < 1, (num_tokens, num_layers, ratio)
        assert all(0 < layer < num_layers for layer, _ in budget.inner)


@pytest.mark.parametrize("name", [name for name in NAMES if ".before" not in name])
def test_methods_that_prune_inside_refuse_an_llm_of_one_layer(name: str) -> None:
    method = method_of(name, 0.3)
    if name.endswith(".inner") or type(method).acts("inner"):
        with pytest.raises(ValueError, match="wants at least 2 layers") as refusal:
            method.budget(144, 1)
        assert not isinstance(refusal.value, BudgetError)
    else:
        assert method.budget(144, 1).inner == ()
