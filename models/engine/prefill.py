"""Runs the prompt through the LLM layer by layer, with the method's pruning between layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from models.engine.base import DecodeState, Sequence
from models.engine.capture import decoder_attention, decoder_heads
from models.engine.decoder import Decoder, Rope
from models.engine.separators import count_before, renumber, weave
from pruning.axes import renumber_on_axes
from pruning.base import CompressionMethod, Needs, PositionStrategy
from pruning.budget import Budget
from pruning.ops.select import remaining
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


def prefill(
    decoder: Decoder, sequence: Sequence, method: CompressionMethod, budget: Budget
) -> tuple[DecodeState, list[tuple[int, TokenMap]]]:
    """The state for decode, and each applied map with its layer."""
    cache, keep, maps = decoder.new_cache(), dict(budget.inner), []
    next_positions, rows_per_layer = [], []
    rope, mask, following = around(decoder, sequence)
    whole, previous_input = sequence, sequence.embeds
    for layer in range(decoder.num_layers):
        if layer in keep:
            boundary = Boundary(decoder, layer, whole, sequence, previous_input, rope, cache)
            stage = budget.first_stage + len(maps)
            view = boundary.view(method.at(stage).needs, stage)
            token_map = by_frame(method.prune(view, keep[layer]), sequence)
            maps.append((layer, token_map))
            if budget.trims_from is not None:
                trim_cache(cache, range(budget.trims_from, layer), sequence, token_map)
            sequence = shrink(sequence, token_map, method.at(stage).positions.inner)
            rope, mask, following = around(decoder, sequence)
        previous_input = sequence.embeds
        sequence = sequence.after(layer, decoder.layer(layer, previous_input, rope, mask, cache))
        next_positions.append(following)
        rows_per_layer.append(len(previous_input))
    logits = decoder.logits(sequence.embeds[-1:])
    positions, rows = torch.stack(next_positions), tuple(rows_per_layer)
    return DecodeState(logits, cache, positions, rows, sequence), maps


def around(decoder: Decoder, sequence: Sequence) -> tuple[Rope, Tensor | None, Tensor]:
    """The rotary tables and the mask of the layers of a sequence, and the id () of the next row."""
    rope, mask = decoder.rope(sequence.positions), decoder.causal_mask(sequence.embeds)
    return rope, mask, sequence.positions[..., -1].max() + 1


def by_frame(token_map: TokenMap, sequence: Sequence) -> TokenMap:
    """The same map with survivors in the order of the text between them, if frames have text.

    So a cluster that a method appends does not move survivors into another frame's text.
    """
    if sequence.extents is None:  # there, a separator follows what is before its place
        return token_map
    fixed, taken = surviving_rows(sequence, token_map)
    run = torch.searchsorted(fixed, taken)  # (K,) rows of text before each survivor
    if not bool((run.diff() < 0).any()):
        return token_map
    order = TokenMap.select(run.argsort(stable=True), len(token_map))
    return replace(token_map.then(order), scores=token_map.scores)


def shrink(sequence: Sequence, token_map: TokenMap, strategy: PositionStrategy) -> Sequence:
    """Applies a map to the visual rows; text and separators do not change."""
    places = token_map.anchors.clamp_min(0)
    fixed, taken = surviving_rows(sequence, token_map)
    fixed_rows, positions = arrange(sequence, strategy, fixed, taken)
    survivors = token_map.apply(sequence.embeds[sequence.visual])  # (K, D)
    return replace(
        sequence,
        embeds=weave(fixed_rows, sequence.embeds[fixed], survivors),
        positions=positions,
        visual=remaining(fixed_rows, len(fixed) + len(taken)),
        anchors=torch.where(token_map.anchors >= 0, sequence.anchors[places], -1),
        deepstack=tuple(token_map.apply(each) for each in sequence.deepstack),
    )


def surviving_rows(sequence: Sequence, token_map: TokenMap) -> tuple[Tensor, Tensor]:
    """Rows (O,) of text and separators, and rows (K,) whose places the survivors take."""
    visual = sequence.visual
    fixed = remaining(visual, len(sequence.embeds))
    return fixed, visual[token_map.anchors.clamp_min(0)]


def arrange(
    sequence: Sequence, strategy: PositionStrategy, fixed: Tensor, taken: Tensor
) -> tuple[Tensor, Tensor]:
    """New rows (O,) of text and separators, and position ids (…, S') of all new rows."""
    ids, length = sequence.positions, len(sequence.embeds)
    if sequence.extents is None:
        return renumber(strategy, ids, fixed, taken)
    fixed_rows = count_before(fixed, taken) + torch.arange(len(fixed), device=fixed.device)  # (O,)
    is_visual = torch.ones(length, dtype=torch.bool, device=fixed.device)
    is_visual[fixed] = False
    rows = weave(fixed_rows, fixed, taken)  # (S',)
    return fixed_rows, renumber_on_axes(strategy, ids, is_visual, rows, sequence.extents)[0]


def trim_cache(cache: DynamicCache, layers: range, sequence: Sequence, token_map: TokenMap) -> None:
    """Removes dropped rows from the caches of earlier layers, so that decode ignores them."""
    assert token_map.is_selection, "cached rows can be dropped, not merged"
    rows = torch.cat(surviving_rows(sequence, token_map)).sort().values
    for layer in cache.layers[layers.start : layers.stop]:
        layer.keys, layer.values = layer.keys[:, :, rows], layer.values[:, :, rows]


@dataclass(frozen=True, eq=False)
class Boundary:
    """Computes the signals of a pruning layer; `Needs.llm` lists the methods to call."""

    decoder: Decoder
    layer: int
    whole: Sequence  # input of the LLM
    sequence: Sequence  # input of `layer`
    previous_input: Tensor  # (S, D) the same rows as input of the previous layer
    rope: Rope
    cache: DynamicCache  # filled up to the previous layer

    def view(self, needs: Needs, stage: int) -> LayerView:
        """The declared signals only; no others are computed."""
        signals = {name: getattr(self, name)(needs) for name in needs.llm}
        return LayerView(self.layer, stage, self.sequence.anchors, self.sequence.layout, **signals)

    def hidden(self, needs: Needs) -> Tensor:
        return self.sequence.embeds[self.sequence.visual]

    def text(self, needs: Needs) -> Tensor:
        return self.sequence.embeds[-self.sequence.num_after :]

    def previous(self, needs: Needs) -> Tensor:
        return self.previous_input[self.sequence.visual]

    def normed(self, needs: Needs) -> Tensor:
        return self.decoder.model.norm(self.hidden(needs))

    def text_normed(self, needs: Needs) -> Tensor:
        return self.decoder.model.norm(self.text(needs))

    def inputs(self, needs: Needs) -> Tensor:
        return self.whole.embeds[self.whole.visual]

    def text_inputs(self, needs: Needs) -> Tensor:
        return self.whole.embeds[-self.whole.num_after :]

    def attention(self, needs: Needs) -> Tensor:
        keys = self.cache.layers[self.layer - 1].keys[0]  # (G, S, d)
        return self.visual_attention(self.layer - 1, self.previous_input, keys, needs)

    def ahead(self, needs: Needs) -> Tensor:
        hidden = self.sequence.embeds
        rows = torch.arange(len(hidden), device=hidden.device)
        keys = decoder_heads(self.decoder, self.layer, "k", hidden, self.rope, rows)
        return self.visual_attention(self.layer, hidden, keys, needs)

    def visual_attention(self, layer: int, hidden: Tensor, keys: Tensor, needs: Needs) -> Tensor:
        """Attention (H, Q, V) of the query rows to the visual rows, with input `hidden`."""
        rows = self.query_rows(needs)
        attention = decoder_attention(self.decoder, layer, hidden, self.rope, rows, keys)
        return attention[:, :, self.sequence.visual]  # of (H, Q, S)

    def queries(self, needs: Needs) -> Tensor:
        return self.heads("q", needs, self.query_rows(needs))

    def keys(self, needs: Needs) -> Tensor:
        return self.heads("k", needs, self.sequence.visual)

    def text_keys(self, needs: Needs) -> Tensor:
        length = len(self.previous_input)
        rows = torch.arange(length - self.sequence.num_after, length)
        return self.heads("k", needs, rows.to(self.previous_input.device))

    def values(self, needs: Needs) -> Tensor:
        return self.cached_values[:, self.sequence.visual]

    def text_values(self, needs: Needs) -> Tensor:
        return self.cached_values[:, -self.sequence.num_after :]

    def context_values(self, needs: Needs) -> Tensor:
        before = len(self.previous_input) - self.sequence.num_after  # rows up to the text after
        return self.cached_values[:, remaining(self.sequence.visual, before)]

    def guidance(self, needs: Needs) -> Tensor:
        importance, anchors = self.sequence.guidance, self.sequence.anchors
        assert importance is not None  # the lane runs the guide before prefill
        return torch.where(anchors >= 0, importance[anchors.clamp_min(0)], 0)

    def rotary(self, needs: Needs) -> Tensor:
        return torch.cat(self.rope)[:, self.sequence.visual]

    def query_rotary(self, needs: Needs) -> Tensor:
        return torch.cat(self.rope)[:, self.query_rows(needs)]

    @property
    def cached_values(self) -> Tensor:
        """Values (G, S, d) of the previous layer."""
        return self.cache.layers[self.layer - 1].values[0]

    def heads(self, kind: str, needs: Needs, rows: Tensor) -> Tensor:
        """Queries "q" or keys "k" (heads, Q, d) of `rows` (Q,) in the previous layer."""
        rope = self.rope if needs.llm_rope else None
        return decoder_heads(self.decoder, self.layer - 1, kind, self.previous_input, rope, rows)

    def query_rows(self, needs: Needs) -> Tensor:
        """The rows (Q,) of `needs.llm_queries`."""
        count = {"last": 1, "last3": 3, "text": self.sequence.num_after}[needs.llm_queries]
        length = len(self.previous_input)
        return torch.arange(length - count, length, device=self.previous_input.device)
