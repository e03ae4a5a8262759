"""Runs the LLM of a replay with blocked attention, or with another answer.

A row depends only on the rows before it. So a run computes what differs from an earlier run: from
the first layer with a difference on, the rows from the first that differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.base import Sequence
from models.engine.open_layer import OpenLayer
from models.engine.prefill import shrink
from models.engine.replay import Replay, Rows, continued, log_probability, roles

# (layer, its rows) -> (S, S) bool, query by key, True = blocked; None blocks nothing there.
Block = Callable[[int, Rows], Tensor | None]


@dataclass(frozen=True, eq=False)
class Ran:
    """What one layer computed of its S rows."""

    output: Tensor  # (S, D)
    keys: Tensor  # (G, S, d) rotated
    values: Tensor  # (G, S, d)


@dataclass(frozen=True, eq=False)
class Run:
    """Prompt and answer through all layers, with some edges blocked."""

    replay: Replay
    block: Block | None
    answer: Tensor  # (A,) int64 ids, at least one
    layers: tuple[Ran, ...]
    predicted: Tensor  # (A, vocabulary) log-probabilities of the answer's rows

    @property
    def score(self) -> Tensor:
        """Log-probability of the whole answer."""
        return log_probability(self.predicted, self.answer)

    def greedy(self, end_ids: frozenset[int], most: int) -> list[int]:
        """Greedy ids up to the first of `end_ids`, which is included, or `most` of them.

        A run checks a whole guess, at first its own answer; its predictions are the next guess.
        They are right up to the first that differs.
        """
        checked = self
        while True:
            guess, found = checked.answer.tolist(), checked.predicted.argmax(-1).tolist()
            pairs = zip(guess[:-1], found, strict=False)  # the last id is not read
            right = next(
                (at for at, (one, other) in enumerate(pairs) if one != other), len(guess) - 1
            )
            ends = [at for at in range(right + 1) if found[at] in end_ids]
            if ends or right + 1 >= most:
                return found[: ends[0] + 1 if ends else most]
            following = self.answer.new_tensor([*found, 0][:most])
            checked = run(self.replay, following, self.block, checked)


def run(
    replay: Replay,
    answer: Tensor | None = None,
    block: Block | None = None,
    base: Run | None = None,
) -> Run:
    """The run of an answer (A,), by default the lane's own.

    `base` is another run of the replay, with nothing blocked or with the same block.
    """
    answer = replay.answer if answer is None else answer
    assert base is None or base.block in (None, block)
    with torch.no_grad():
        decoder, sequence, fed = replay.decoder, replay.sequence, len(answer) - 1
        tail, layers = decoder.embed(answer[:fed]), list[Ran]()
        same = 0 if base is None else len(sequence.embeds) + count_same(answer, base.answer)
        for layer in range(decoder.num_layers):
            if layer in replay.maps:
                whole = sequence
                sequence = shrink(whole, replay.maps[layer], replay.positions[layer])
                same = same_after(whole, sequence, same)
            rows, hidden = roles(sequence, fed), torch.cat([sequence.embeds, tail])
            closed = replay.closed(layer, rows)
            if block is not None and (blocked := block(layer, rows)) is not None:
                if base is None or base.block is None:
                    same = min(same, first_row(blocked & ~closed))
                closed = closed | blocked
            rope = decoder.rope(continued(sequence.positions, fed))
            before = base.layers[layer] if base is not None else None
            layers.append(go_on(OpenLayer(decoder, layer, rope, closed), hidden, before, same))
            output = layers[-1].output
            sequence = sequence.after(layer, output[: len(sequence.embeds)])
            tail = output[len(sequence.embeds) :]
        states = torch.cat([sequence.embeds[-1:], tail])  # (A, D)
        return Run(replay, block, answer, tuple(layers), replay.predict(states))


def go_on(layer: OpenLayer, hidden: Tensor, before: Ran | None, same: int) -> Ran:
    """A layer over its input (S, D), whose first `same` rows are computed `before`."""
    if before is None:
        heads = layer.heads(hidden)
        return Ran(layer.output(hidden, heads), heads.keys, heads.values)
    if same == len(hidden):
        kept = before.output[:same], before.keys[:, :same], before.values[:, :same]
        return Ran(*kept)
    heads = layer.heads(hidden[same:], (before.keys[:, :same], before.values[:, :same]))
    output = torch.cat([before.output[:same], layer.output(hidden[same:], heads)])
    return Ran(output, heads.keys, heads.values)


def count_same(answer: Tensor, other: Tensor) -> int:
    """The rows that two answers share from the start; no row stands for the last token."""
    shared = min(len(answer), len(other)) - 1
    return int((answer[:shared] == other[:shared]).long().cumprod(0).sum())


def same_after(whole: Sequence, shrunk: Sequence, same: int) -> int:
    """Rows of `shrunk` that are the same as in another run, if the first `same` of `whole` are.

    Survivors may be sums of any visual rows.
    """
    text = len(whole.embeds) - whole.num_after
    if same >= text:
        return same - len(whole.embeds) + len(shrunk.embeds)
    return min(same, int(shrunk.visual.min()) if len(shrunk.visual) else text)


def first_row(edges: Tensor) -> int:
    """The first row of edges (S, S) that has any, or S."""
    some = edges.any(1)
    return int(some.int().argmax()) if bool(some.any()) else len(edges)
