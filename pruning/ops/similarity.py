"""How alike tokens are, and how long; float32 whatever comes in."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """(A, D) and (B, D) -> (A, B) cosines; a zero vector is like nothing."""
    return normalize(a.float(), dim=-1) @ normalize(b.float(), dim=-1).T


def norm(x: Tensor) -> Tensor:
    """(n, D) -> (n,) Euclidean lengths."""
    length: Tensor = x.float().norm(dim=1)
    return length
