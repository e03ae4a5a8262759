"""The prompt through the LLM, layer by layer, with the method's pruning in between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from models.base import DecodeState, Sequence
from models.capture import decoder_attention, decoder_heads
from models.decoder import Decoder, Rope
from models.separators import count_before, free_rows, weave
from pruning.base import CompressionMethod, Needs, PositionStrategy
from pruning.budget import Budget
from pruning.positions import renumber
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


def prefill(
    decoder: Decoder, sequence: Sequence, method: CompressionMethod, budget: Budget
) -> tuple[DecodeState, list[tuple[int, TokenMap]]]:
    """The state to decode from, and every map that ran, with its layer."""
    cache, keep, maps = decoder.new_cache(), dict(budget.inner), []
    next_positions, rows_per_layer = [], []
    rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(sequence.embeds)
    entered = sequence.embeds
    for layer in range(decoder.num_layers):
        if layer in keep:
            boundary = Boundary(decoder, layer, sequence, entered, rope, cache)
            token_map = method.prune(boundary.view(method.needs, len(maps)), keep[layer])
            maps.append((layer, token_map))
            sequence = shrink(sequence, token_map, method.positions.inner)
            rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(sequence.embeds)
        entered = sequence.embeds
        sequence = replace(sequence, embeds=decoder.layer(layer, entered, rope, mask, cache))
        next_positions.append(sequence.positions[-1] + 1)
        rows_per_layer.append(len(entered))
    logits = decoder.logits(sequence.embeds[-1:])
    return DecodeState(logits, cache, torch.stack(next_positions), tuple(rows_per_layer)), maps


def shrink(sequence: Sequence, token_map: TokenMap, strategy: PositionStrategy) -> Sequence:
    """The sequence with its visual rows mapped; text and separators stay where they are."""
    embeds, visual, places = sequence.embeds, sequence.visual, token_map.anchors.clamp_min(0)
    fixed = free_rows(visual, len(embeds))  # (O,) text and separators
    taken = visual[places]  # (K,) old row whose place each survivor takes
    stay = count_before(fixed, taken) + torch.arange(len(fixed), device=fixed.device)  # (O,)
    rows = weave(stay, fixed, taken)  # (S',)
    is_visual = torch.zeros(len(embeds), dtype=torch.bool, device=fixed.device)
    positions, _ = renumber(
        strategy, sequence.positions, is_visual.index_fill(0, visual, True), rows
    )
    survivors = token_map.apply(embeds[visual])  # (K, D)
    return replace(
        sequence,
        embeds=weave(stay, embeds[fixed], survivors),
        positions=positions,
        visual=free_rows(stay, len(rows)),
        anchors=torch.where(token_map.anchors >= 0, sequence.anchors[places], -1),
    )


@dataclass(frozen=True, eq=False)
class Boundary:
    """The place just before an LLM layer; `Needs.llm` names those of its methods to ask."""

    decoder: Decoder
    layer: int
    sequence: Sequence  # about to enter `layer`
    entered: Tensor  # (S, D) the same rows as they entered the layer before
    rope: Rope
    cache: DynamicCache  # filled up to the layer before

    def view(self, needs: Needs, stage: int) -> LayerView:
        """Exactly the signals declared: what nobody asked for is not computed."""
        signals = {name: getattr(self, name)(needs) for name in needs.llm}
        return LayerView(self.layer, stage, self.sequence.anchors, self.sequence.layout, **signals)

    def hidden(self, needs: Needs) -> Tensor:
        return self.sequence.embeds[self.sequence.visual]

    def text(self, needs: Needs) -> Tensor:
        return self.sequence.embeds[-self.sequence.num_after :]

    def attention(self, needs: Needs) -> Tensor:
        before, keys = self.layer - 1, self.cache.layers[self.layer - 1].keys[0]  # (G, S, d)
        layer, asking = self.decoder.model.layers[before], self.asking(needs)
        received = decoder_attention(layer, self.entered, self.rope, asking, keys)  # (H, Q, S)
        return received[:, :, self.sequence.visual]

    def queries(self, needs: Needs) -> Tensor:
        return self.heads("q_proj", needs, self.asking(needs))

    def keys(self, needs: Needs) -> Tensor:
        return self.heads("k_proj", needs, self.sequence.visual)

    def values(self, needs: Needs) -> Tensor:
        values = self.cache.layers[self.layer - 1].values[0, :, self.sequence.visual]  # (G, V, d)
        return values.transpose(0, 1).flatten(1)

    def heads(self, projection: str, needs: Needs, rows: Tensor) -> Tensor:
        layer, rope = self.decoder.model.layers[self.layer], self.rope if needs.llm_rope else None
        projected = layer.self_attn.get_submodule(projection)
        return decoder_heads(layer, projected, self.sequence.embeds, rope, rows)

    def asking(self, needs: Needs) -> Tensor:
        """The rows (Q,) whose queries count."""
        count = {"last": 1, "last3": 3, "text": self.sequence.num_after}[needs.llm_queries]
        length = len(self.entered)
        return torch.arange(length - count, length, device=self.entered.device)
