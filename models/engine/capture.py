"""Attention that fast kernels never write down, recomputed for the rows that a method asks for.

Queries are projected again for those rows alone and meet the keys that the layer really used, so
any kernel may have run. Softmax is in float32 over all keys; only then are columns picked.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.engine.decoder import Decoder, Rope
from pruning.ops.attention import attend


def split_heads(x: Tensor, head_dim: int) -> Tensor:
    """(S, H·d) -> (H, S, d)."""
    return x.unflatten(-1, (-1, head_dim)).transpose(0, 1)


def rotate(x: Tensor, rope: Rope, rows: Tensor) -> Tensor:
    """Rotary embedding of x (H, Q, d), whose rows are `rows` (Q,) of the tables."""
    return turned(x, rope[0][0, rows], rope[1][0, rows])


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (…, d) rotated by angles whose `cos` and `sin` are (…, d)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def encoder_keys(layer: nn.Module, hidden: Tensor) -> Tensor:
    """Keys (…, S, D) of an encoder layer entered by `hidden` (…, S, D), heads concatenated."""
    return layer.self_attn.k_proj(layer.layer_norm1(hidden))


def received_attention(
    layer: nn.Module, asking: Tensor, keys: Tensor, head_dim: int | None = None
) -> Tensor:
    """What the rows `asking` (Q, D) of an encoder layer's input give each of `keys` (S, D).

    (S,) float32, mean over heads and over those who ask. Heads are the layer's own unless
    `head_dim` cuts D otherwise.
    """
    attention = layer.self_attn
    head_dim = head_dim or attention.head_dim
    queries = split_heads(attention.q_proj(layer.layer_norm1(asking)), head_dim)
    received = attend(queries, split_heads(keys, head_dim), head_dim**-0.5)  # (H, Q, S)
    return received.mean(dim=(0, 1))


def decoder_attention(
    decoder: Decoder, layer: int, hidden: Tensor, rope: Rope, rows: Tensor, keys: Tensor
) -> Tensor:
    """Attention (H, Q, S) of `rows` (Q,) in a layer entered by `hidden` (R, D).

    `keys` (G, S, d) are those it cached, the last of them those of `hidden`.
    """
    queries = decoder_heads(decoder, layer, "q", hidden, rope, rows)
    asked = rows + keys.shape[1] - len(hidden)  # (Q,) rows of all that is cached
    return attend(queries, keys, decoder.model.layers[layer].self_attn.scaling, asked)


def decoder_heads(
    decoder: Decoder, layer: int, kind: str, hidden: Tensor, rope: Rope | None, rows: Tensor
) -> Tensor:
    """Queries "q" or keys "k" (heads, Q, d) of `rows` (Q,); not rotated without `rope`."""
    entered = decoder.model.layers[layer]
    attention = entered.self_attn
    projected = attention.get_submodule(f"{kind}_proj")(entered.input_layernorm(hidden[rows]))
    heads = split_heads(projected, attention.head_dim)
    if decoder.normalises:
        heads = attention.get_submodule(f"{kind}_norm")(heads)
    return heads if rope is None else rotate(heads, rope, rows)
