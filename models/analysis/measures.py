"""The measures of Nüwa's analysis (arXiv 2602.02951) as functions of one layer's arrays.

H heads, Q query rows, S keys, V visual rows. There is no official code: where the paper is silent,
a docstring names our choice.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def attention_flow(attention: Tensor, keys: Tensor) -> float:
    """Share of the rows' attention (H, Q, S) on the rows `keys`; mean over heads and queries."""
    return float(attention[:, :, keys].sum(-1).mean())


def gradient_flow(attention: Tensor, gradient: Tensor, keys: Tensor) -> float:
    """The same for relu(A ⊙ ∂y/∂A), where y is the log-probability of an answer.

    The head mean of the positive part follows Grad-CAM, which the paper cites.
    """
    weighted = (attention * gradient).clamp_min(0)  # (H, Q, S)
    return float(weighted[:, :, keys].sum(-1).mean())


def visual_entropy(attention: Tensor, causal: bool = True) -> tuple[float, float]:
    """Visual Attention Entropy (VAE) in bits, and as a share of its largest value.

    H(v_i) = −Σ p(v_j|v_i) log2 p(v_j|v_i) over tokens j before i; mean over all i with such j.
    In an encoder, which is not causal, j runs over all other tokens. `attention` (V, V) is the
    mean over heads; each row is divided by its sum over those j, which the paper leaves open.
    """
    count = len(attention)
    if count < 2:
        return math.nan, math.nan
    seen = torch.ones(count, count, dtype=torch.bool, device=attention.device)
    seen = seen.tril(-1) if causal else seen.fill_diagonal_(False)
    weights = attention.double().where(seen, 0)
    shares = weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)
    entropy = -torch.xlogy(shares, shares).sum(-1) / math.log(2)  # (V,)
    rows = seen.any(-1)
    most = seen.sum(-1).double().clamp_min(1).log2()
    mean, limit = float(entropy[rows].mean()), float(most[rows].mean())
    return mean, mean / limit if limit else math.nan


def object_cohesion(received: Tensor, inside: Tensor, k: int | None = None) -> float:
    """Object-Centric Cohesion (OCC): IoU of the k most attended tokens and an object's tokens.

    `received` (V,) attention of each visual token, `inside` (V,) bool whether it is the object's;
    k defaults to the object's count. NaN if the object has no token, or if k leaves no choice: then
    every ranking has the same overlap. Of equal tokens the earlier counts.
    """
    size = int(inside.sum())
    if not size or (k or 0) >= len(received):
        return math.nan
    k = k or size
    chosen = received.argsort(descending=True, stable=True)[:k]
    both = int(inside[chosen].sum())
    return both / (k + size - both)


def random_cohesion(count: int, size: int, k: int | None = None) -> float:
    """Expected cohesion of k random tokens out of `count`, of which `size` are the object's."""
    if not size or (k or 0) >= count:
        return math.nan
    k = k or size
    ways = math.comb(count, k)
    return sum(
        math.comb(size, both) * math.comb(count - size, k - both) / ways * both / (k + size - both)
        for both in range(max(0, k + size - count), min(k, size) + 1)
    )


def effective_rank(states: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values of states (V, D).

    Roy and Vetterli, EUSIPCO 2007. Between 1 and min(V, D).
    """
    if not len(states):
        return math.nan
    states = states.double().cpu()
    products = states @ states.T if len(states) < states.shape[1] else states.T @ states
    values = torch.linalg.eigvalsh(products).clamp_min(0).sqrt()  # singular values, but faster
    shares = values / values.sum().clamp_min(1e-30)
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


def tokens_inside(boxes: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """(N,) bool: tokens whose cell (N, 4) has its centre in a box; placeless ones are not."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    left, top, right, bottom = box
    inside: np.ndarray = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return inside
