"""Recomputes attention for the rows that a method needs; fast kernels do not return it.

Projects the queries of those rows again and multiplies them with the keys of the layer, so any
kernel may run the layer itself. Softmax is in float32 over all keys; columns are selected after it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.engine.decoder import Decoder, Rope
from pruning.ops.attention import attend

CHUNK = 512  # queries whose attention over all heads is in memory at once


def split_heads(x: Tensor, head_dim: int) -> Tensor:
    """(S, H·d) -> (H, S, d)."""
    return x.unflatten(-1, (-1, head_dim)).transpose(0, 1)


def rotate(x: Tensor, rope: Rope, rows: Tensor) -> Tensor:
    """Rotary embedding of x (H, Q, d) at `rows` (Q,) of the tables."""
    return apply_rotary(x, rope[0][0, rows], rope[1][0, rows])


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x (…, d) by angles with `cos` and `sin` (…, d)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def encoder_keys(layer: nn.Module, hidden: Tensor) -> Tensor:
    """Keys (…, S, D) of an encoder layer with input `hidden` (…, S, D), heads concatenated."""
    return layer.self_attn.k_proj(layer.layer_norm1(hidden))


def received_attention(
    layer: nn.Module, rows: Tensor, keys: Tensor, head_dim: int | None = None
) -> Tensor:
    """Attention (S,) float32 that `keys` (S, D) of an encoder layer receive from `rows` (Q, D).

    `rows` are rows of the layer's input. Averages over heads and rows. `head_dim` splits D into
    other heads than the layer's own.
    """
    attention = layer.self_attn
    head_dim = head_dim or attention.head_dim
    queries = split_heads(attention.q_proj(layer.layer_norm1(rows)), head_dim)
    received = attend(queries, split_heads(keys, head_dim), head_dim**-0.5)  # (H, Q, S)
    return received.mean(dim=(0, 1))


def mean_attention(queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """Head mean (Q, S) float32 of the attention of queries (H, Q, d) over keys (H, S, d)."""
    parts = [attend(rows, keys, scale).mean(dim=0) for rows in queries.split(CHUNK, dim=1)]
    return torch.cat(parts)


def decoder_attention(
    decoder: Decoder, layer: int, hidden: Tensor, rope: Rope, rows: Tensor, keys: Tensor
) -> Tensor:
    """Attention (H, Q, S) of `rows` (Q,) in a layer with input `hidden` (R, D).

    `keys` (G, S, d) are the layer's cached keys; the last R of them belong to `hidden`.
    """
    queries = decoder_heads(decoder, layer, "q", hidden, rope, rows)
    cache_rows = rows + keys.shape[1] - len(hidden)  # (Q,)
    later = torch.arange(keys.shape[1], device=rows.device) > cache_rows[:, None]  # (Q, S)
    return attend(queries, keys, decoder.model.layers[layer].self_attn.scaling, later)


def decoder_heads(
    decoder: Decoder, layer: int, kind: str, hidden: Tensor, rope: Rope | None, rows: Tensor
) -> Tensor:
    """Queries "q" or keys "k" (heads, Q, d) of `rows` (Q,); without rotation if `rope` is None."""
    normed = decoder.model.layers[layer].input_layernorm(hidden[rows])
    heads = heads_of(decoder, layer, kind, normed)
    return heads if rope is None else rotate(heads, rope, rows)


def heads_of(decoder: Decoder, layer: int, kind: str, normed: Tensor) -> Tensor:
    """Queries "q" or keys "k" (heads, Q, d), not rotated, of normalised rows (Q, D)."""
    attention = decoder.model.layers[layer].self_attn
    heads = split_heads(attention.get_submodule(f"{kind}_proj")(normed), attention.head_dim)
    return attention.get_submodule(f"{kind}_norm")(heads) if decoder.normalises else heads
