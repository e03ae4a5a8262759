"""After every pruning, rows are in ascending order of their ids, for every strategy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.engine.base import Sequence
from models.engine.pipeline import Lane
from models.engine.prefill import shrink
from pruning.base import PositionStrategy
from pruning.ops.select import remaining
from pruning.token_map import TokenMap
from tests.cases import Case
from tests.models.runs import RUNS, shared_lane
from tests.tiny import Setting

on_one_axis = pytest.mark.parametrize(
    ("setting", "case"), [run for run in RUNS if run.values[0].on_one_axis]
)


def in_raster_order(token_map: TokenMap) -> bool:
    """Whether survivors stand as the tokens did, each in a place of its own."""
    anchors = token_map.anchors
    return bool((anchors >= 0).all() and (anchors.diff() > 0).all())


def others(sequence: Sequence) -> tuple[Tensor, Tensor]:
    """Numbers (O,) and embeddings (O, D) of text and separators."""
    rows = remaining(sequence.visual, len(sequence.embeds))
    return sequence.positions[rows], sequence.embeds[rows]


@on_one_axis
def test_numbers_ascend_after_every_pruning_and_newlines_keep_their_order(
    setting: Setting, case: Case
) -> None:
    """However the lane numbered them, each strategy numbers what its maps leave."""
    for strategy in PositionStrategy:
        check_numbers(shared_lane(setting, case), strategy)


def check_numbers(lane: Lane, strategy: PositionStrategy) -> None:
    ran, tokens = lane.applied, lane.tokens
    sequence = lane.adapter.splice(lane.prompt, lane.visual, ran, tokens, strategy)
    for token_map in [None, *(inner for _, inner in lane.inner_maps)]:
        if token_map is not None:
            before, ran = others(sequence), ran.then(token_map)
            sequence = shrink(sequence, token_map, strategy)
            numbers, embeds = others(sequence)
            assert torch.equal(embeds, before[1])
            assert strategy is PositionStrategy.PERC or torch.equal(numbers, before[0])
        if in_raster_order(ran):
            assert (sequence.positions.diff() > 0).all()
        if strategy is PositionStrategy.PERC:
            assert sequence.positions.tolist() == list(range(len(sequence.embeds)))
