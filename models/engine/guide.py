"""Attention of a small model while it answers; SGL prunes the tokens of a large model by it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from models.engine.base import Adapter, Sequence
from models.engine.capture import decoder_attention
from models.engine.checks import check_kind
from models.engine.decoder import Decoder
from models.uploads.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.ops.place import by_place
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout

LONGEST = 64  # tokens of a guide's answer at most


@dataclass(frozen=True, eq=False)
class Guidance:
    """A guide's importance of a model's visual tokens, and the FLOPs of the guide's run."""

    importance: Tensor  # (N,) float32, 0 for a token without a place
    flops: int


def run_guide(guide: Adapter, media: Media, question: str, layout: TokenLayout) -> Guidance:
    """Runs the guide on the same question and maps its attention to the places of `layout`."""
    check_kind("This model's guide", "model", guide.media, media.kind)
    prompt = guide.prepare(media, question)
    visual = guide.encode(prompt, Needs())
    whole = TokenMap.identity(len(visual), guide.device)
    tokens = guide.project(visual.features)
    sequence = guide.splice(prompt, visual, whole, tokens, PositionStrategy.PESP)
    attention, rows = attend_and_answer(guide.decoder, sequence, guide.end_ids)
    return Guidance(
        by_place(attention, visual.layout, layout),
        guide.flops(prompt, Needs(), len(visual), (rows,) * guide.decoder.num_layers),
    )


def attend_and_answer(
    decoder: Decoder, sequence: Sequence, end_ids: frozenset[int]
) -> tuple[Tensor, int]:
    """Attention (N,) to the visual tokens in prefill and a greedy answer; the number of rows."""
    cache, first = decoder.new_cache(), int(sequence.visual[-1])  # from the last visual row on
    logits, total = run_layers(decoder, sequence, first, cache)
    for _ in range(LONGEST):
        token = logits.argmax()[None]  # (1,)
        if int(token) in end_ids:
            break
        position = sequence.positions[..., -1:] + 1
        sequence = replace(
            sequence, embeds=decoder.embed(token), positions=position, deepstack=()
        )  # of one row
        logits, more = run_layers(decoder, sequence, 0, cache)
        total = total + more
    return total, cache.get_seq_length()


def run_layers(
    decoder: Decoder, sequence: Sequence, first: int, cache: DynamicCache
) -> tuple[Tensor, Tensor]:
    """Runs all layers on rows that follow the cached ones: the last row's logits, and attention.

    The attention (N,) goes from the rows after `first`, inclusive, to the visual rows; it is the
    sum over layers, heads and rows.
    """
    hidden, rope, visual = sequence.embeds, decoder.rope(sequence.positions), sequence.visual
    rows = torch.arange(first, len(hidden), device=hidden.device)
    mask = decoder.causal_mask(hidden) if len(hidden) > 1 else None  # one row sees all before it
    total = torch.zeros(len(visual), device=hidden.device)
    for index in range(decoder.num_layers):
        hidden = sequence.embeds
        sequence = sequence.after(index, decoder.layer(index, hidden, rope, mask, cache))
        keys = cache.layers[index].keys[0]  # (G, S, d)
        attention = decoder_attention(decoder, index, hidden, rope, rows, keys)  # (H, Q, S)
        total = total + attention[:, :, visual].sum(dim=(0, 1))
    return decoder.logits(sequence.embeds[-1:]), total
