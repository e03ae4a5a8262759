"""The prompt through the LLM, layer by layer, with the method's pruning in between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from models.engine.base import DecodeState, Sequence
from models.engine.capture import decoder_attention, decoder_heads
from models.engine.decoder import Decoder, Rope
from models.engine.separators import count_before, free_rows, renumber, weave
from pruning.axes import renumber_on_axes
from pruning.base import CompressionMethod, Needs, PositionStrategy
from pruning.budget import Budget
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


def prefill(
    decoder: Decoder, sequence: Sequence, method: CompressionMethod, budget: Budget
) -> tuple[DecodeState, list[tuple[int, TokenMap]]]:
    """The state to decode from, and every map that ran, with its layer."""
    cache, keep, maps = decoder.new_cache(), dict(budget.inner), []
    next_positions, rows_per_layer = [], []
    rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(sequence.embeds)
    whole, entered = sequence, sequence.embeds
    for layer in range(decoder.num_layers):
        if layer in keep:
            boundary = Boundary(decoder, layer, whole, sequence, entered, rope, cache)
            view = boundary.view(method.needs, budget.first_stage + len(maps))
            token_map = method.prune(view, keep[layer])
            maps.append((layer, token_map))
            if budget.trims_from is not None:
                trim(cache, range(budget.trims_from, layer), sequence, token_map)
            sequence = shrink(sequence, token_map, method.positions.inner)
            rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(sequence.embeds)
        entered = sequence.embeds
        sequence = sequence.after(layer, decoder.layer(layer, entered, rope, mask, cache))
        next_positions.append(sequence.positions[..., -1].max() + 1)
        rows_per_layer.append(len(entered))
    logits = decoder.logits(sequence.embeds[-1:])
    return DecodeState(logits, cache, torch.stack(next_positions), tuple(rows_per_layer)), maps


def shrink(sequence: Sequence, token_map: TokenMap, strategy: PositionStrategy) -> Sequence:
    """The sequence with its visual rows mapped; text and separators stay as they are."""
    places = token_map.anchors.clamp_min(0)
    fixed, taken = surviving(sequence, token_map)
    stay, positions = arrange(sequence, strategy, fixed, taken)
    survivors = token_map.apply(sequence.embeds[sequence.visual])  # (K, D)
    return replace(
        sequence,
        embeds=weave(stay, sequence.embeds[fixed], survivors),
        positions=positions,
        visual=free_rows(stay, len(fixed) + len(taken)),
        anchors=torch.where(token_map.anchors >= 0, sequence.anchors[places], -1),
        deepstack=tuple(token_map.apply(each) for each in sequence.deepstack),
    )


def surviving(sequence: Sequence, token_map: TokenMap) -> tuple[Tensor, Tensor]:
    """Rows (O,) of text and separators, and rows (K,) whose places the survivors take."""
    visual = sequence.visual
    fixed = free_rows(visual, len(sequence.embeds))
    return fixed, visual[token_map.anchors.clamp_min(0)]


def arrange(
    sequence: Sequence, strategy: PositionStrategy, fixed: Tensor, taken: Tensor
) -> tuple[Tensor, Tensor]:
    """New rows (O,) of text and separators, and ids (…, S') of all new rows."""
    ids, length = sequence.positions, len(sequence.embeds)
    if sequence.extents is None:
        return renumber(strategy, ids, fixed, taken)
    stay = count_before(fixed, taken) + torch.arange(len(fixed), device=fixed.device)  # (O,)
    is_visual = torch.ones(length, dtype=torch.bool, device=fixed.device)
    is_visual[fixed] = False
    rows = weave(stay, fixed, taken)  # (S',)
    return stay, renumber_on_axes(strategy, ids, is_visual, rows, sequence.extents)[0]


def trim(cache: DynamicCache, layers: range, sequence: Sequence, token_map: TokenMap) -> None:
    """Take out of layers that have run already what the map drops: decode sees none of it."""
    assert token_map.is_selection, "what a layer has cached can be dropped, not merged"
    rows = torch.cat(surviving(sequence, token_map)).sort().values
    for layer in cache.layers[layers.start : layers.stop]:
        layer.keys, layer.values = layer.keys[:, :, rows], layer.values[:, :, rows]


@dataclass(frozen=True, eq=False)
class Boundary:
    """The place just before an LLM layer; `Needs.llm` names those of its methods to ask."""

    decoder: Decoder
    layer: int
    whole: Sequence  # as it entered the LLM
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

    def inputs(self, needs: Needs) -> Tensor:
        return self.whole.embeds[self.whole.visual]

    def text_inputs(self, needs: Needs) -> Tensor:
        return self.whole.embeds[-self.whole.num_after :]

    def attention(self, needs: Needs) -> Tensor:
        keys = self.cache.layers[self.layer - 1].keys[0]  # (G, S, d)
        return self.received(self.layer - 1, self.entered, keys, needs)

    def ahead(self, needs: Needs) -> Tensor:
        entering = self.sequence.embeds
        everyone = torch.arange(len(entering), device=entering.device)
        keys = decoder_heads(self.decoder, self.layer, "k", entering, self.rope, everyone)
        return self.received(self.layer, entering, keys, needs)

    def received(self, layer: int, hidden: Tensor, keys: Tensor, needs: Needs) -> Tensor:
        """(H, Q, V) what the asking rows give the visual ones in a layer entered by `hidden`."""
        asking = self.asking(needs)
        given = decoder_attention(self.decoder, layer, hidden, self.rope, asking, keys)  # (H, Q, S)
        return given[:, :, self.sequence.visual]

    def queries(self, needs: Needs) -> Tensor:
        return self.heads("q", needs, self.asking(needs))

    def keys(self, needs: Needs) -> Tensor:
        return self.heads("k", needs, self.sequence.visual)

    def values(self, needs: Needs) -> Tensor:
        return self.cached_values[:, self.sequence.visual]

    def text_values(self, needs: Needs) -> Tensor:
        return self.cached_values[:, -self.sequence.num_after :]

    def context_values(self, needs: Needs) -> Tensor:
        before = len(self.entered) - self.sequence.num_after  # rows up to the text after
        return self.cached_values[:, free_rows(self.sequence.visual, before)]

    def guidance(self, needs: Needs) -> Tensor:
        known, anchors = self.sequence.guidance, self.sequence.anchors
        assert known is not None  # the lane asked the guide before prefill
        return torch.where(anchors >= 0, known[anchors.clamp_min(0)], 0)

    def rotary(self, needs: Needs) -> Tensor:
        return torch.cat(self.rope)[:, self.sequence.visual]

    def query_rotary(self, needs: Needs) -> Tensor:
        return torch.cat(self.rope)[:, self.asking(needs)]

    @property
    def cached_values(self) -> Tensor:
        """(G, S, d) of the layer before."""
        return self.cache.layers[self.layer - 1].values[0]

    def heads(self, kind: str, needs: Needs, rows: Tensor) -> Tensor:
        """Queries "q" or keys "k" (heads, Q, d) of `rows` (Q,) in the layer before."""
        rope = self.rope if needs.llm_rope else None
        return decoder_heads(self.decoder, self.layer - 1, kind, self.entered, rope, rows)

    def asking(self, needs: Needs) -> Tensor:
        """The rows (Q,) whose queries count."""
        count = {"last": 1, "last3": 3, "text": self.sequence.num_after}[needs.llm_queries]
        length = len(self.entered)
        return torch.arange(length - count, length, device=self.entered.device)
