"""What must hold for every method, over the one table of methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.llava import LlavaAdapter
from models.pipeline import run_lane
from models.record import PHASES, LaneResult, Phase
from pruning.base import CompressionMethod
from pruning.methods import create
from tests.cases import CASES, Case
from tests.tiny import picture, prefilled, tiny_llava

PICTURED = [case for case in CASES if case.takes("image")]
each_case = pytest.mark.parametrize("case", PICTURED, ids=lambda case: case.id)
each_ratio = pytest.mark.parametrize(
    "case", [case for case in PICTURED if case.has_ratio], ids=lambda case: case.id
)


def answer(adapter: LlavaAdapter, method: CompressionMethod) -> str:
    *_, result = run_lane(adapter, picture(), "What is this?", method, max_new_tokens=8)
    return result.answer


@each_ratio
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_retention_one_is_vanilla(case: Case, dtype: torch.dtype) -> None:
    adapter, method = tiny_llava(dtype), case.create(retention_ratio=1.0)
    vanilla, whole = prefilled(adapter, create("vanilla")), prefilled(adapter, method)
    assert torch.equal(vanilla.state.logits, whole.state.logits)
    assert answer(adapter, create("vanilla")) == answer(adapter, method)
    assert whole.trace().average == 1


@each_case
def test_the_trace_agrees_with_the_cache(case: Case) -> None:
    lane = prefilled(tiny_llava(), case.create())
    cached = [layer.get_seq_length() for layer in lane.state.cache.layers]
    assert (lane.trace().per_layer + lane.prompt.num_text).tolist() == cached


@each_case
def test_the_trace_agrees_with_the_budget(case: Case) -> None:
    lane = prefilled(tiny_llava(), case.create())
    num_layers = lane.adapter.decoder.num_layers
    assert lane.trace().per_layer.tolist() == lane.budget.per_layer(num_layers)


@each_case
def test_text_follows_the_picture_and_decode_follows_the_text(case: Case) -> None:
    lane = prefilled(tiny_llava(), case.create())
    before, after = lane.prompt.before, lane.prompt.after
    ids, visual = lane.sequence.positions, lane.sequence.visual
    assert ids[: len(before)].tolist() == list(range(len(before)))
    assert int(ids[visual].min()) >= len(before)
    text = ids[visual.stop :].tolist()
    assert text == list(range(text[0], text[0] + len(after)))
    assert text[0] > int(ids[visual].max())
    assert int(lane.state.positions[0]) == text[-1] + 1  # no layer has pruned before layer 0


@each_case
def test_a_lane_yields_its_phases_in_order_and_its_answer_in_pieces(case: Case) -> None:
    steps = list(
        run_lane(tiny_llava(), picture(), "What is this?", case.create(), max_new_tokens=6)
    )
    phases = [step for step in steps if isinstance(step, Phase)]
    result = steps[-1]
    assert isinstance(result, LaneResult)
    assert tuple(phase.name for phase in phases) == PHASES
    assert result.timeline.phases == tuple(phases)
    assert "".join(step for step in steps if isinstance(step, str)) == result.answer
    assert 0 < result.timeline.ttft < result.timeline.total
    assert result.new_tokens == 6
    assert np.isfinite(result.tflops)


@each_case
def test_features_left_by_a_method_are_finite_in_bfloat16(case: Case) -> None:
    assert prefilled(tiny_llava(torch.bfloat16), case.create()).state.logits.isfinite().all()
