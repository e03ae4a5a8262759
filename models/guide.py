"""What a small model looks at as it answers, so that a large one may drop the rest (SGL)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from models.base import Adapter, Sequence
from models.capture import decoder_attention
from models.checks import check_kind
from models.decoder import Decoder
from models.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.ops.place import by_place
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout

LONGEST = 64  # tokens of a guide's answer that are waited for


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a guide's attention says of a model's visual tokens, and what it cost to ask."""

    importance: Tensor  # (N,) float32, 0 for a token without a place
    flops: int


def ask(guide: Adapter, media: Media, question: str, layout: TokenLayout) -> Guidance:
    """Let the guide answer the same question; its attention, in the places of `layout`."""
    check_kind("This model's guide", "model", guide.media, media.kind)
    prompt = guide.prepare(media, question)
    visual = guide.encode(prompt, Needs())
    whole = TokenMap.identity(len(visual), guide.device)
    tokens = guide.project(visual.features)
    sequence = guide.splice(prompt, visual, whole, tokens, PositionStrategy.PESP)
    given, rows = attend_and_answer(guide.decoder, sequence, guide.end_ids)
    return Guidance(
        by_place(given, visual.layout, layout),
        guide.flops(prompt, Needs(), len(visual), (rows,) * guide.decoder.num_layers),
    )


def attend_and_answer(
    decoder: Decoder, sequence: Sequence, end_ids: frozenset[int]
) -> tuple[Tensor, int]:
    """Attention (N,) given to the picture while reading and greedily answering; rows it took."""
    cache, visual, position = decoder.new_cache(), sequence.visual, sequence.positions[..., -1:]
    first = int(visual[-1])  # the last visual row asks too
    logits, given = read(decoder, sequence.embeds, sequence.positions, first, visual, cache)
    for _ in range(LONGEST):
        token = logits.argmax()[None]  # (1,)
        if int(token) in end_ids:
            break
        position = position + 1
        logits, more = read(decoder, decoder.embed(token), position, 0, visual, cache)
        given = given + more
    return given, cache.get_seq_length()


def read(
    decoder: Decoder,
    hidden: Tensor,
    positions: Tensor,
    first: int,
    visual: Tensor,
    cache: DynamicCache,
) -> tuple[Tensor, Tensor]:
    """Rows (R, D) through every layer, after those cached: the last one's logits, and attention.

    The latter (V,) is what the rows from `first` on give the rows `visual` (V,), all layers and
    heads together.
    """
    rope, asking = decoder.rope(positions), torch.arange(first, len(hidden), device=hidden.device)
    mask = decoder.causal_mask(hidden) if len(hidden) > 1 else None  # one row sees all before it
    given = torch.zeros(len(visual), device=hidden.device)
    for index in range(decoder.num_layers):
        entered, hidden = hidden, decoder.layer(index, hidden, rope, mask, cache)
        keys = cache.layers[index].keys[0]  # (G, S, d)
        attention = decoder_attention(decoder, index, entered, rope, asking, keys)  # (H, Q, S)
        given = given + attention[:, :, visual].sum(dim=(0, 1))
    return decoder.logits(hidden[-1:]), given
