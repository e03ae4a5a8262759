"""Seconds of one layer of Qwen2-7B by the number of rows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import torch
from transformers import Qwen2Config, Qwen2Model

from models.engine.decoder import Decoder

LAYERS = 28  # of Qwen2-7B, the LLM of LLaVA-OneVision-7B
WIDTH, FFN, HEAD_DIM, KV_HEADS = 3584, 18_944, 128, 4
WARM_UP = 16  # rows


def layer_seconds(width: int, rows: Iterable[int]) -> dict[int, float]:
    """Rows -> seconds of one pass through a layer of random weights, after a warm-up."""
    decoder = one_layer(width)
    _pass(decoder, WARM_UP, width)
    return {count: _pass(decoder, count, width) for count in sorted(rows)}


def one_layer(width: int) -> Decoder:
    """The layer in float32; a smaller `width` scales the feed-forward part and the heads."""
    if width < HEAD_DIM or width % HEAD_DIM:
        raise ValueError(f"Width is {width}, wanted a multiple of {HEAD_DIM}, the size of a head.")
    heads = width // HEAD_DIM
    config = Qwen2Config(
        hidden_size=width,
        intermediate_size=round(width * FFN / WIDTH),
        num_attention_heads=heads,
        num_key_value_heads=math.gcd(heads, KV_HEADS),
        num_hidden_layers=1,
        vocab_size=8,
        attn_implementation="sdpa",
    )
    return Decoder(Qwen2Model(config).eval().requires_grad_(False), torch.nn.Identity())


def _pass(decoder: Decoder, rows: int, width: int) -> float:
    hidden = torch.randn(rows, width, generator=torch.Generator().manual_seed(rows))
    rope, mask = decoder.rope(torch.arange(rows)), decoder.causal_mask(hidden)
    start = time.perf_counter()
    decoder.layer(0, hidden, rope, mask, decoder.new_cache())
    return time.perf_counter() - start
