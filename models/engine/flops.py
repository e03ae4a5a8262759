"""Counts floating-point operations of a run from its token counts.

A multiply-accumulate is 2 FLOPs; only matrix products count. With n rows, width D, H query heads
and G key-value heads of d, and an FFN of width I in m matrices (2 plain, 3 gated), a layer costs

    2·n·D·d·(2H + 2G)  +  4·n²·H·d  +  2·m·n·D·I

Counts attention over the full n², causal or not, like `torch.utils.flop_counter`. Does not count
the method's own computation, except a guide's run; the timeline includes its time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerShape:
    """The sizes of one transformer layer."""

    width: int  # D
    heads: int  # H
    kv_heads: int  # G
    head_dim: int  # d
    ffn: int  # I
    ffn_matrices: int  # m

    def flops(self, rows: int) -> int:
        """FLOPs of one layer over `rows` rows."""
        projections = 4 * rows * self.width * self.head_dim * (self.heads + self.kv_heads)
        attention = 4 * rows**2 * self.heads * self.head_dim
        ffn = 2 * self.ffn_matrices * rows * self.width * self.ffn
        return projections + attention + ffn


def matmul_flops(rows: int, inner: int, outer: int) -> int:
    """FLOPs of the product (rows, inner) x (inner, outer)."""
    return 2 * rows * inner * outer
