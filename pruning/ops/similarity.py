"""Cosine similarity and norms of tokens, in float32 for any input."""

from __future__ import annotations

from torch import Tensor

TINY = 1e-12


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """(…, A, D) and (…, B, D) -> (…, A, B) cosines; 0 for a zero vector.

    Scales the products, because scaled copies of the tokens of a clip would take twice the memory.
    """
    lengths = norm(a).clamp_min(TINY)[..., :, None] * norm(b).clamp_min(TINY)[..., None, :]
    return (a.float() @ b.float().mT).div_(lengths)


def norm(x: Tensor) -> Tensor:
    """(…, n, D) -> (…, n) Euclidean norms."""
    length: Tensor = x.float().norm(dim=-1)
    return length
