"""Laws that hold for every method on every kind of upload."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch

from models.engine.base import Adapter
from models.engine.pipeline import Lane, run_lane
from models.engine.record import PHASES, LaneResult, Phase
from models.uploads.media import Media
from pruning.methods import create
from tests.cases import GAZE, Case
from tests.models.runs import QUICK, each_run, each_run_with_a_ratio, shared_lane
from tests.tiny import SETTINGS, Setting, prefilled

BOTH = (torch.float32, torch.bfloat16)


@pytest.fixture
def lane(setting: Setting, case: Case) -> Lane:
    """Any run, just before decode."""
    return shared_lane(setting, case)


@each_run_with_a_ratio
def test_retention_one_is_vanilla(setting: Setting, case: Case) -> None:
    for dtype in BOTH if setting.id == QUICK else BOTH[:1]:  # bfloat16 on one model
        logits, pieces = vanilla_answer(setting.model, setting.upload, dtype)
        whole = prefilled(setting.model(dtype), case.create(retention_ratio=1.0), setting.upload())
        assert torch.equal(logits, whole.state.logits)
        assert whole.trace().average == 1
        assert pieces == list(whole.decode(2, 0.0, 0))


@lru_cache
def vanilla_answer(
    model: Callable[..., Adapter], upload: Callable[[], Media], dtype: torch.dtype
) -> tuple[torch.Tensor, list]:
    """Vanilla's first logits, and the pieces of its answer."""
    vanilla = prefilled(model(dtype), create("vanilla"), upload())
    return vanilla.state.logits, list(vanilla.decode(2, 0.0, 0))


@each_run
def test_the_trace_agrees_with_the_cache(lane: Lane) -> None:
    """Layer by layer; where a method trims caches, they hold what the last layer processed."""
    held, trimmed = lane.trace().per_layer.copy(), lane.budget.trims_from
    if trimmed is not None:
        held[trimmed:] = held[-1]
    cached = [layer.get_seq_length() for layer in lane.state.cache.layers]
    assert (held + lane.prompt.num_text).tolist() == cached
    a_row = lane.state.cache.layers[0].keys[:, :, :1].nbytes * 2  # its key and its value
    assert lane.kv_bytes == a_row * sum(cached)


@each_run
def test_the_trace_agrees_with_what_ran(lane: Lane) -> None:
    processed = lane.trace().per_layer + lane.prompt.num_text
    assert processed.tolist() == list(lane.state.rows_per_layer)


@each_run
def test_the_trace_agrees_with_the_budget(lane: Lane) -> None:
    num_layers, num_text = lane.adapter.decoder.num_layers, lane.prompt.num_text
    assert lane.trace().per_layer.tolist() == lane.budget.per_layer(num_layers)
    cached = [layer.get_seq_length() - num_text for layer in lane.state.cache.layers]
    assert cached == lane.budget.in_cache(num_layers)
    averages = lane.budget.averages(num_layers)
    assert averages.processed == pytest.approx(lane.trace().per_layer.mean())
    assert averages.cached == pytest.approx(sum(cached) / num_layers)


@each_run
def test_text_follows_the_picture_and_decode_follows_the_text(lane: Lane) -> None:
    before, after = lane.prompt.before, lane.prompt.after
    on_axes, visual = torch.atleast_2d(lane.sequence.positions), lane.sequence.visual
    for ids in on_axes:
        assert ids[: len(before)].tolist() == list(range(len(before)))
        assert int(ids[visual].min()) >= len(before)
        text = ids[-len(after) :].tolist()
        assert text == list(range(text[0], text[0] + len(after)))
        assert text[0] > int(on_axes[:, : -len(after)].max())
        assert int(lane.state.positions[0]) == text[-1] + 1  # no layer has pruned before layer 0


@each_run
def test_a_lane_yields_its_phases_in_order_and_its_answer_in_pieces(
    setting: Setting, case: Case
) -> None:
    lane = run_lane(
        setting.model(),
        setting.upload(),
        "What is this?",
        case.create(),
        gaze=GAZE,
        max_new_tokens=3,
    )
    *_, result = steps = list(lane)
    phases = [step for step in steps if isinstance(step, Phase)]
    assert isinstance(result, LaneResult)
    assert tuple(phase.name for phase in phases) == PHASES
    assert result.timeline.phases == tuple(phases)
    assert "".join(step for step in steps if isinstance(step, str)) == result.answer
    assert 0 < result.timeline.ttft < result.timeline.total
    assert result.new_tokens == 3
    assert np.isfinite(result.tflops)


@each_run
def test_features_left_by_a_method_are_finite_in_bfloat16(setting: Setting, case: Case) -> None:
    lane = prefilled(setting.model(torch.bfloat16), case.create(), setting.upload())
    assert lane.state.logits.isfinite().all()


@pytest.mark.parametrize("name", ["pooling", "nuwa", "nuwa:paper", "feather", "hivtp"])
def test_a_method_that_needs_a_grid_says_so_where_crops_have_none(name: str) -> None:
    (crops,) = (setting for setting in SETTINGS if not setting.has_grid)
    with pytest.raises(ValueError, match="needs its visual tokens on a regular grid"):
        prefilled(crops.model(), create(name), crops.upload())
