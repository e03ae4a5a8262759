"""Decode steps that read part of the caches: DyCoke's, on a tiny model and a clip."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from models.engine.base import DecodeState
from models.engine.decode import decode
from models.engine.pipeline import Lane, run_lane
from models.engine.recall import PartialCache, Recall
from pruning.methods import create
from tests.tiny import clip, prefilled, tiny_onevision, tiny_qwen2_5_vl

ANSWER = [40, 7, 99, 130, 5]


def lane_of(adapter: Any = None, **knobs: Any) -> Lane:
    method = create("dycoke", retention_ratio=0.5, **knobs)
    return prefilled(adapter or tiny_onevision(), method, clip())


def masked_step(lane: Lane, token: int, state: DecodeState, count: int, rows: torch.Tensor):
    """Logits of a step in which layers from the lane's on see `rows` of whole caches alone."""
    decoder, positions = lane.adapter.decoder, state.positions + count
    hidden, tables = decoder.embed(torch.tensor([token])), decoder.rope(positions)
    for layer in range(decoder.num_layers):
        mask = None
        if layer >= lane.recall.layer:
            length = state.cache.layers[layer].get_seq_length() + 1
            mask = torch.full((1, 1, 1, length), -torch.inf)
            mask[..., rows] = 0
        rope = tuple(table[:, layer : layer + 1] for table in tables)
        hidden = decoder.layer(layer, hidden, rope, mask, state.cache)
    return decoder.logits(hidden)


@torch.inference_mode()
@pytest.mark.parametrize("model", [tiny_onevision, tiny_qwen2_5_vl])
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_reading_part_of_the_caches_equals_masking_the_rest(model, kernel, monkeypatch) -> None:
    lane = lane_of(model(kernel=kernel), decode_threshold=1.0)
    whole, read = deepcopy(lane.state), []
    narrow = Recall.narrow

    def noting(self: Recall, *given: Any) -> PartialCache:
        partial = narrow(self, *given)
        read.append(partial.rows)
        return partial

    monkeypatch.setattr(Recall, "narrow", noting)
    for count, token in enumerate(ANSWER):
        positions, cache = lane.state.positions + count, lane.state.cache
        logits = lane.adapter.decoder.step(token, positions, cache, lane.recall)
        assert (logits - masked_step(lane, token, whole, count, read[-1])).abs().max() < 1e-5
    assert lane.recall.counts == [lane.budget.reads[1]] * len(ANSWER)
    lengths = [layer.get_seq_length() for layer in cache.layers]
    assert lengths == [rows + len(ANSWER) for rows in lane.state.rows_per_layer]


def test_attention_that_did_not_move_reads_everything() -> None:
    lane = lane_of(decode_threshold=-1.0)
    list(lane.decode(5, 0.0, 0))
    few, everything = lane.budget.reads[1], lane.budget.before
    assert lane.recall.counts == [few] + 3 * [everything]
    assert lane.reads()[0] == everything
    assert lane.reads()[-1] == (few + 3 * everything) / 4


def test_decode_that_leaves_nothing_out_is_decode_as_ever() -> None:
    lane, again = lane_of(decode_drop=0.0), lane_of(decode_drop=0.0)
    plain = list(decode(again.adapter.decoder, again.state, frozenset(), 5))
    recalled = decode(lane.adapter.decoder, lane.state, frozenset(), 5, 0.0, 0, lane.recall)
    assert plain == list(recalled)
    assert set(lane.recall.counts) == {lane.budget.before}


def test_a_result_says_how_many_rows_each_layer_reads_in_decode() -> None:
    *_, result = run_lane(
        tiny_onevision(), clip(), "?", create("dycoke", decode_threshold=1.0), max_new_tokens=4
    )
    assert result.reads == (36.0,) + (10.0,) * 7
    assert result.trace.per_layer.tolist() == [36] * 8
    *_, vanilla = run_lane(tiny_onevision(), clip(), "?", create("vanilla"), max_new_tokens=4)
    assert vanilla.reads is None
    *_, trimmed = run_lane(tiny_onevision(), clip(), "?", create("ivcprune"), max_new_tokens=2)
    assert trimmed.reads[-1] == trimmed.trace.per_layer[-1] == trimmed.reads[1]


def test_only_layers_behind_all_pruning_can_read_part_of_the_caches() -> None:
    lane = prefilled(tiny_onevision(), create("fastv", retention_ratio=0.6), clip())
    with pytest.raises(ValueError, match="only behind all pruning layers"):
        Recall(
            lane.adapter.decoder,
            lane.method,
            type(lane.budget)(9, lane.budget.inner, reads=(1, 4)),
            lane.state.last,
        )
