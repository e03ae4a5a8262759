"""Runs the LLM of a finished lane again to read or differentiate its attention.

A replay applies the maps that the lane applied, so it computes no signals and chooses no
tokens. Prompt and answer run together, teacher-forced. S rows of a layer, R watched rows,
V visual rows, A answer tokens, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.engine.base import Sequence
from models.engine.decoder import Decoder
from models.engine.open_layer import OpenLayer
from models.engine.pipeline import Lane
from models.engine.prefill import shrink, surviving_rows
from pruning.base import PositionStrategy
from pruning.errors import UnsupportedError
from pruning.token_map import TokenMap


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a layer by role."""

    visual: Tensor  # (V,) ascending
    anchors: Tensor  # (V,) original token of each visual row, −1 = placeless
    text: Tensor  # (T,) text after the upload, without the last row
    answering: Tensor  # (A,) last row of the prompt, then of the answer: each predicts a token
    count: int  # S

    @property
    def watched(self) -> Tensor:
        """(R,) `text`, then `answering`."""
        return torch.cat([self.text, self.answering])


@dataclass(frozen=True, eq=False)
class LayerReading:
    """One LLM layer of a replay."""

    layer: int
    rows: Rows
    inputs: Tensor  # (V, D) visual rows as they enter the layer
    attention: Tensor  # (H, R, S) float32 of the watched rows
    among_visual: Tensor | None  # (V, V) float32 of the visual rows, head mean, if asked for
    probe: Tensor | None  # (H, R, S) zeros; the gradient by it is the one by `attention`


@dataclass(frozen=True, eq=False)
class Replay:
    """The LLM input of a lane, the maps that its layers applied, and an answer."""

    decoder: Decoder
    sequence: Sequence
    maps: dict[int, TokenMap]
    positions: dict[int, PositionStrategy]  # of each layer that has a map
    trims_from: int | None  # first layer whose cache the inner stages trimmed
    answer: Tensor  # (A,) int64 ids, at least one

    @classmethod
    def of(cls, lane: Lane) -> Replay:
        """The replay of a lane that has decoded, with the answer that it gave.

        Raises:
            UnsupportedError: Decode steps of the lane read only a part of the caches.
        """
        sequence = lane.sequence
        if lane.budget.reads is not None:
            raise UnsupportedError(
                f"{lane.method.title} reads other tokens in each decode step, which an analysis "
                "cannot repeat: choose another method."
            )
        with torch.inference_mode(False):
            return cls(
                decoder=lane.adapter.decoder,
                sequence=cloned(sequence),
                maps={layer: cloned(token_map) for layer, token_map in lane.inner_maps},
                positions={
                    layer: lane.method.at(stage).positions.inner
                    for stage, (layer, _) in enumerate(lane.inner_maps, lane.budget.first_stage)
                },
                trims_from=lane.budget.trims_from,
                answer=torch.tensor(lane.stream.ids, device=sequence.embeds.device),
            )

    def layers(
        self, *, gradients: bool = False, among_visual: bool = False
    ) -> Iterator[LayerReading | Tensor]:
        """A reading per layer, then the log-probabilities (A, vocabulary) of the answer's rows.

        With `gradients` the last output can be differentiated by every `probe`. Then one hidden
        state per layer and the attention of the watched rows stay in memory; layers are computed
        again in the backward pass.
        """
        decoder, sequence, fed = self.decoder, self.sequence, len(self.answer) - 1
        answer = decoder.embed(self.answer[:fed]).detach()  # the last token predicts nothing
        for layer in range(decoder.num_layers):
            if layer in self.maps:
                sequence = shrink(sequence, self.maps[layer], self.positions[layer])
            rows, hidden = roles(sequence, fed), torch.cat([sequence.embeds, answer])
            rope = decoder.rope(continued(sequence.positions, fed))
            run = OpenLayer(decoder, layer, rope, self.closed(layer, rows))
            seen = hidden.detach()
            with torch.no_grad():
                heads = run.heads(seen)
                attention = run.attention(heads, rows.watched)
                mutual = run.mean_attention(heads, rows.visual) if among_visual else None
            if gradients:
                probe = run.probe(hidden, rows.watched)
                output = checkpoint(run, hidden, rows.watched, probe, use_reentrant=False)
            else:
                probe, output = None, run.output(hidden, heads)
            yield LayerReading(layer, rows, seen[rows.visual], attention, mutual, probe)
            sequence = sequence.after(layer, output[: len(sequence.embeds)])
            answer = output[len(sequence.embeds) :]
        yield self.predict(torch.cat([sequence.embeds[-1:], answer]))

    def predict(self, states: Tensor) -> Tensor:
        """Log-probabilities (A, vocabulary) from the last layer's answering rows (A, D)."""
        return self.decoder.head(self.decoder.model.norm(states)).float().log_softmax(-1)

    def closed(self, layer: int, rows: Rows) -> Tensor:
        """(S, S) bool: later rows, and for the answer those that its cache no longer holds."""
        if rows.count not in self.later_rows:
            index = torch.arange(rows.count, device=rows.visual.device)
            self.later_rows[rows.count] = index > index[:, None]
        closed = self.later_rows[rows.count]
        if layer in self.cached_rows:
            index, closed = torch.arange(rows.count, device=closed.device), closed.clone()
            prompt = int(rows.answering[0]) + 1
            gone = index < prompt
            gone[self.cached_rows[layer]] = False
            closed[prompt:] |= gone
        return closed

    @cached_property
    def later_rows(self) -> dict[int, Tensor]:
        """By S, the mask (S, S) of later rows: one for all layers, which autograd keeps."""
        return {}

    @cached_property
    def cached_rows(self) -> dict[int, Tensor]:
        """The rows of the prompt that remain in the cache, for layers whose cache was trimmed."""
        if self.trims_from is None:
            return {}
        sequence, kept = self.sequence, {}
        for layer in range(max(self.maps, default=0) + 1):
            if layer in self.maps:
                rows = torch.cat(surviving_rows(sequence, self.maps[layer])).sort().values
                for earlier in range(self.trims_from, layer):
                    kept[earlier] = kept[earlier][rows]
                sequence = shrink(sequence, self.maps[layer], self.positions[layer])
            kept[layer] = torch.arange(len(sequence.embeds), device=sequence.embeds.device)
        return {layer: kept[layer] for layer in range(self.trims_from, max(self.maps, default=0))}


def cloned(record: Any) -> Any:
    """A copy of a record whose tensors autograd accepts; it refuses those of inference mode."""
    return replace(
        record, **{each.name: _clone(getattr(record, each.name)) for each in fields(record)}
    )


def _clone(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        return tuple(map(_clone, value))
    return value


def roles(sequence: Sequence, fed: int) -> Rows:
    """The roles of a sequence's rows and of `fed` answer rows behind them."""
    prompt, device = len(sequence.embeds), sequence.visual.device
    text = torch.arange(prompt - sequence.num_after, prompt - 1, device=device)
    answering = torch.arange(prompt - 1, prompt + fed, device=device)
    return Rows(sequence.visual, sequence.anchors, text, answering, prompt + fed)


def continued(positions: Tensor, fed: int) -> Tensor:
    """Position ids (…, S) followed by those of `fed` answer rows, the same on every axis."""
    following = positions[..., -1].max() + 1 + torch.arange(fed, device=positions.device)
    return torch.cat([positions, following.expand(*positions.shape[:-1], fed)], -1)


def log_probability(predicted: Tensor, answer: Tensor) -> Tensor:
    """Of all tokens of `answer` (A,) together, from log-probabilities (A, vocabulary)."""
    return predicted.gather(1, answer[:, None]).sum()
