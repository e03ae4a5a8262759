"""Law 10: dropping rows equals masking them, with the position ids of each layer.

The oracle keeps all rows in every layer. For each layer it sets which rows are alive, their order
and their ids, and masks the other rows. A row with merged rows takes their weighted sum. The answer
tokens run in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from models.engine.base import Sequence
from models.engine.decoder import Decoder
from models.engine.pipeline import Lane
from pruning.base import CompressionMethod, Positions, PositionStrategy, knob
from pruning.budget import Budget
from pruning.methods import create
from pruning.positions import place
from pruning.token_map import TokenMap
from pruning.tokens import LayerView, VisualTokens
from tests.cases import Case
from tests.models.renumbering import contiguous, renumbered_on_axes
from tests.models.runs import each_run_by_numbering
from tests.tiny import SETTINGS, Setting, prefilled

each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
ANSWER = [40, 7, 99]  # any ids, the same for the oracle and the loop


@dataclass(frozen=True)
class Scatter(CompressionMethod):
    """Random selections before the LLM and at each pruning layer."""

    name = "scatter"
    title = "Scatter"
    summary = "For tests."

    before: int | None = knob(None, help="survivors before the LLM; all where none is given")
    inner: tuple[tuple[int, int], ...] = knob((), help="layers and what they leave")
    numbered: Positions = knob(Positions(), help="how")  # noqa: RUF009

    @property
    def positions(self) -> Positions:
        return self.numbered

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        return Budget(self.before or num_tokens, self.inner)

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        return scattered(len(visual), keep)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        return scattered(len(view), keep)


def scattered(n: int, keep: int) -> TokenMap:
    draw = torch.Generator().manual_seed(n)
    return TokenMap.select(torch.randperm(n, generator=draw)[:keep].sort().values, n)


@dataclass(frozen=True)
class Standing:
    """State of the oracle's rows (R,) in one layer."""

    alive: Tensor  # (R,) bool
    ids: Tensor  # (…, R) int64
    cached: Tensor | None = None  # (R,) bool, alive to the answer; those of the prompt, if None
    rank: Tensor | None = None  # (R,) int64, the living rows' order; their own, if None
    merged: tuple[Tensor, TokenMap, Tensor] | None = None  # rows, what becomes of them, and where

    def mask(self, like: Tensor) -> Tensor:
        """The attention mask (1, 1, R, R)."""
        size = len(self.alive)
        rank = torch.arange(size) if self.rank is None else self.rank
        seen = self.alive.repeat(size, 1)  # (R, R)
        if self.cached is not None:
            seen[-len(ANSWER) :] = self.cached
        seen = (rank[:, None] >= rank) & (seen | torch.eye(size, dtype=torch.bool))
        return like.new_zeros(1, 1, size, size).masked_fill(~seen, -torch.inf)


@torch.inference_mode()
def masked(decoder: Decoder, whole: Sequence, layers: list[Standing]) -> Tensor:
    """Logits (1 + answer, vocabulary) of the last rows of a sequence and the answer after it."""
    hidden = embeds = torch.cat([whole.embeds, decoder.embed(torch.tensor(ANSWER))])  # (R, D)
    joining = [  # (R, D) each
        torch.zeros_like(embeds).index_copy(0, whole.visual, each) for each in whole.deepstack
    ]
    for layer, state in enumerate(layers):
        if state.merged:
            rows, token_map, places = state.merged
            hidden, *joining = (
                x.index_copy(0, places, token_map.apply(x[rows])) for x in (hidden, *joining)
            )
        mask, rope = state.mask(embeds), decoder.rope(state.ids)
        hidden = decoder.layer(layer, hidden, rope, mask, decoder.new_cache())
        if layer < len(joining):
            hidden = hidden + joining[layer]
    return torch.stack([decoder.logits(row[None]) for row in hidden[-1 - len(ANSWER) :]])


@torch.inference_mode()
def stepped(lane: Lane) -> Tensor:
    """Logits (1 + answer, vocabulary) of our own decode loop on the given answer."""
    logits = [lane.state.logits]
    for count, token in enumerate(ANSWER):
        positions = lane.state.positions + count
        logits.append(lane.adapter.decoder.step(token, positions, lane.state.cache))
    return torch.stack(logits)


def oracle(method: CompressionMethod, lane: Lane) -> Tensor:
    """The same logits, from a vanilla lane's rows and the lane's trace."""
    whole = prefilled(lane.adapter, create("vanilla"), lane.media).sequence
    decoder, visual = lane.adapter.decoder, whole.visual
    ids = answered(whole.positions)  # (…, R): PESP
    alive = torch.ones(decoder.num_layers, ids.shape[-1], dtype=torch.bool)
    trace = lane.trace()
    for layer in range(decoder.num_layers):
        kept = torch.from_numpy(trace.alive(layer))
        alive[layer, visual] = torch.zeros(len(trace), dtype=torch.bool).index_fill(0, kept, True)
    if method.positions.before is PositionStrategy.PERC:
        ids = contiguous(ids, alive[0], visual)
    layers = []
    for living in alive:
        renumbers = method.positions.inner is PositionStrategy.PERC and (living != alive[0]).any()
        layers.append(Standing(living, contiguous(ids, living, visual) if renumbers else ids))
    return masked(decoder, whole, layers)


def answered(ids: Tensor) -> Tensor:
    """Position ids (…, S) of a prompt and the answer after it."""
    return torch.cat([ids, ids[..., -1:] + 1 + torch.arange(len(ANSWER))], dim=-1)


def inner_oracle(lane: Lane) -> Tensor:
    """The same logits, from all rows that entered the LLM."""
    decoder, entered, maps = lane.adapter.decoder, lane.sequence, dict(lane.inner_maps)
    ids = answered(entered.positions)  # (…, R)
    size = ids.shape[-1]
    order, left = list(range(size)), entered.visual  # of the living rows
    visual, layers, stage = set(left.tolist()), [], lane.budget.first_stage
    for layer in range(decoder.num_layers):
        merged = None
        if layer in maps:
            before, left = left, left[maps[layer].anchors]
            merged = None if maps[layer].is_selection else (before, maps[layer], left)
            fixed = [row for row in order if row not in visual]
            strategy, stage = lane.method.at(stage).positions.inner, stage + 1
            order, ids = renumbered(ids, strategy, fixed, left, entered)
        stood = torch.arange(len(order))
        rank = torch.full((size,), size).index_copy(0, torch.tensor(order), stood)
        layers.append(Standing(rank < size, ids, rank=rank, merged=merged))
    if lane.budget.trims_from is not None:
        for layer in range(lane.budget.trims_from, decoder.num_layers):
            layers[layer] = replace(layers[layer], cached=layers[-1].alive)
    return masked(decoder, entered, layers)


def renumbered(
    ids: Tensor, strategy: PositionStrategy, fixed: list[int], left: Tensor, entered: Sequence
) -> tuple[list[int], Tensor]:
    """The living rows in order, and ids (R,) from a pruning layer on; the dead keep theirs.

    Text and separators stand behind the survivors with lower numbers than theirs. The picture's
    numbers are all that text and separators have not.

    Args:
        ids: (R,) until then.
        strategy: how to number survivors.
        fixed: rows of text and separators.
        left: (K,) rows whose places survivors take, in the survivors' order.
        entered: the sequence as it entered the LLM.
    """
    if ids.dim() == 2:
        return renumbered_on_axes(ids, strategy, fixed, left, entered)
    theirs = ids[fixed].tolist()
    if strategy in {PositionStrategy.RPME, PositionStrategy.RPME_AFFINE}:
        free = [number for number in range(theirs[-1]) if number not in theirs]
        places = torch.tensor([free.index(number) for number in ids[left]])
        stretched, _ = place(strategy, places, 0, len(free))
        ids = ids.index_copy(0, left, torch.tensor(free)[stretched])
    order, survivors = [], iter(left.tolist())
    for row, number in zip(fixed, theirs, strict=True):
        behind = int((ids[left] < number).sum()) - sum(stood not in fixed for stood in order)
        order += [*islice(survivors, behind), row]
    if strategy is PositionStrategy.PERC:
        ids = ids.index_copy(0, torch.tensor(order), torch.arange(len(order)))
    return order, ids


PESP, PERC = PositionStrategy.PESP, PositionStrategy.PERC
TWO, THREE = ((4, 5), (7, 2)), ((1, 20), (3, 12), (6, 1))  # (layer, survivors) of each
SELECTIONS = {
    "before the LLM": Scatter(before=11),
    "before the LLM, renumbered": Scatter(before=11, numbered=Positions(PERC, PERC)),
    "inside the LLM": Scatter(inner=((2, 9),)),
    "inside the LLM, renumbered": Scatter(inner=((2, 9),), numbered=Positions(PESP, PERC)),
    "at three layers": Scatter(inner=THREE),
    "at three layers, renumbered": Scatter(inner=THREE, numbered=Positions(PESP, PERC)),
    "before and inside": Scatter(before=24, inner=TWO),
    "before and inside, renumbered": Scatter(before=24, inner=TWO, numbered=Positions(PERC, PERC)),
}


@each_setting
@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("kernel", ["sdpa", pytest.param("eager", marks=pytest.mark.grid)])
def test_dropping_equals_masking(setting: Setting, name: str, kernel: str) -> None:
    """Within float32 rounding of logits of size 4; a wrong row or number moves them by > 0.01."""
    method = SELECTIONS[name]
    lane = prefilled(setting.model(kernel=kernel), method, setting.upload())
    assert (stepped(lane) - oracle(method, lane)).abs().max() < 1e-5


@each_run_by_numbering
def test_dropping_inside_the_llm_equals_masking_for_every_method(
    setting: Setting, case: Case, every_numbering: bool
) -> None:
    """However survivors are numbered, where the method prunes inside the LLM."""
    numbered = [{"numbering": strategy.value} for strategy in PositionStrategy]
    for knobs in numbered if every_numbering else [{}]:
        lane = prefilled(setting.model(), case.create(**knobs), setting.upload())
        assert (stepped(lane) - inner_oracle(lane)).abs().max() < 1e-5


@each_setting
def test_the_oracle_would_notice_a_wrong_number_or_a_wrong_row(setting: Setting) -> None:
    method = SELECTIONS["at three layers, renumbered"]
    lane = prefilled(setting.model(), method, setting.upload())
    ours = stepped(lane)
    numbered = replace(method, numbered=Positions())
    assert (ours - oracle(numbered, lane)).abs().max() > 1e-2
    one_more = Scatter(inner=((1, 20), (3, 12), (6, 2)))
    other = prefilled(setting.model(), one_more, setting.upload())
    assert (stepped(other) - oracle(numbered, lane)).abs().max() > 1e-2


@each_setting
def test_the_oracle_would_notice_a_cache_that_was_not_trimmed(setting: Setting) -> None:
    lane = prefilled(setting.model(), create("ivcprune", retention_ratio=0.7), setting.upload())
    ours, lane.budget = stepped(lane), replace(lane.budget, trims_from=None)
    off = (ours - inner_oracle(lane)).abs().amax(dim=1)  # (1 + answer,)
    assert off[0] < 1e-5  # the first token was chosen before anything was taken out
    assert off[1:].max() > 1e-2


@each_setting
def test_the_oracle_would_notice_a_merge_that_was_left_out(setting: Setting) -> None:
    lane = prefilled(setting.model(), create("sparsevlm", retention_ratio=0.5), setting.upload())
    ours = stepped(lane)
    assert any(not token_map.is_selection for _, token_map in lane.inner_maps)
    lane.inner_maps = [
        (layer, TokenMap.select(token_map.anchors, token_map.n))
        for layer, token_map in lane.inner_maps
    ]
    assert (ours - inner_oracle(lane)).abs().max() > 1e-2
