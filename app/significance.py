"""Paired tests of two methods on the same questions, and intervals of rates and means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, sqrt

import numpy as np

DRAWS = 2000
LEVEL = 0.05
NORMAL = 1.959964  # 97.5th percentile


def mcnemar(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test: right by the first alone, by the second alone, two-sided p.

    Args:
        first, second: (n,) bool, right or not, on the same questions.
    """
    ours, theirs = int((first & ~second).sum()), int((second & ~first).sum())
    discordant, fewer = ours + theirs, min(ours, theirs)
    tail = sum(comb(discordant, k) for k in range(fewer + 1)) / 2**discordant
    return ours, theirs, min(1.0, 2 * tail)


def verdict(first_more: bool, p: float) -> str:
    """Of the claim that the first is right more often, for an adjusted p."""
    return "not decided" if p >= LEVEL else "holds" if first_more else "the reverse"


def holm(values: Sequence[float]) -> list[float]:
    """p-values of one family, adjusted by Holm's step-down."""
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def sign_flips(differences: np.ndarray) -> float:
    """Two-sided p of a mean difference (n,) of pairs: how often random signs give one as large."""
    signs = np.random.default_rng(0).choice((-1, 1), size=(DRAWS, len(differences)))
    flipped, found = np.abs(signs @ differences), abs(differences.sum())
    return float((1 + (flipped >= found * (1 - 1e-9)).sum()) / (1 + DRAWS))


def draws(units: int) -> np.ndarray:
    """(DRAWS, units) how often each upload is in each bootstrap draw with replacement."""
    drawn = np.random.default_rng(0).integers(units, size=(DRAWS, units))
    return np.stack([np.bincount(row, minlength=units) for row in drawn])


def bounds(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a statistic from its values (DRAWS,) over the draws."""
    low, high = np.percentile(drawn, [50 * LEVEL, 100 - 50 * LEVEL])
    return float(low), float(high)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two vectors (n,); 0 if all values of one are equal."""
    one, other = ranks(first), ranks(second)
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread else 0.0


def ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 1; equal values have the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (sizes.cumsum() - (sizes - 1) / 2)[group]


def interval(statistic: Callable[[np.ndarray], float], units: int) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic over uploads drawn with replacement.

    Args:
        statistic: Takes indices (units,) of uploads.
        units: Number of uploads; all questions about one are drawn together.
    """
    rng = np.random.default_rng(0)
    return bounds(np.array([statistic(rng.integers(units, size=units)) for _ in range(DRAWS)]))


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, after Wilson (1927); (0, 1) for no observation."""
    if not of:
        return 0.0, 1.0
    share, spread = right / of, NORMAL**2 / of
    centre = (share + spread / 2) / (1 + spread)
    half = NORMAL / (1 + spread) * sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, centre - half), min(1.0, centre + half)
