"""What a small model looks at as it answers, so that a large one may drop the rest (SGL)."""

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
    cache, first = decoder.new_cache(), int(sequence.visual[-1])  # the last visual row asks too
    logits, given = read(decoder, sequence, first, cache)
    for _ in range(LONGEST):
        token = logits.argmax()[None]  # (1,)
        if int(token) in end_ids:
            break
        position = sequence.positions[..., -1:] + 1
        sequence = replace(
            sequence, embeds=decoder.embed(token), positions=position, deepstack=()
        )  # of one row
        logits, more = read(decoder, sequence, 0, cache)
        given = given + more
    return given, cache.get_seq_length()


def read(
    decoder: Decoder, sequence: Sequence, first: int, cache: DynamicCache
) -> tuple[Tensor, Tensor]:
    """Rows through every layer, after those cached: the last one's logits, and attention.

    The latter (N,) is what the rows from `first` on give the visual ones, all layers and heads
    together.
    """
    hidden, rope, visual = sequence.embeds, decoder.rope(sequence.positions), sequence.visual
    asking = torch.arange(first, len(hidden), device=hidden.device)
    mask = decoder.causal_mask(hidden) if len(hidden) > 1 else None  # one row sees all before it
    given = torch.zeros(len(visual), device=hidden.device)
    for index in range(decoder.num_layers):
        entered = sequence.embeds
        sequence = sequence.after(index, decoder.layer(index, entered, rope, mask, cache))
        keys = cache.layers[index].keys[0]  # (G, S, d)
        attention = decoder_attention(decoder, index, entered, rope, asking, keys)  # (H, Q, S)
        given = given + attention[:, :, visual].sum(dim=(0, 1))
    return decoder.logits(sequence.embeds[-1:]), given
