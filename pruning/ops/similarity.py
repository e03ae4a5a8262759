"""How alike tokens are, and how long; float32 whatever comes in."""

from __future__ import annotations

from torch import Tensor

TINY = 1e-12


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """(…, A, D) and (…, B, D) -> (…, A, B) cosines; a zero vector is like nothing.

    The products are divided, not the tokens: of a clip, a scaled copy would cost as much again.
    """
    lengths = norm(a).clamp_min(TINY)[..., :, None] * norm(b).clamp_min(TINY)[..., None, :]
    return (a.float() @ b.float().mT).div_(lengths)


def norm(x: Tensor) -> Tensor:
    """(…, n, D) -> (…, n) Euclidean lengths."""
    length: Tensor = x.float().norm(dim=-1)
    return length
