"""Exactness and the laws of the engine on CUDA: `make gpu` runs them among its checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
import torch

from models.engine.base import Adapter
from models.engine.pipeline import Lane
from tests.cases import CASES, ONE_EACH, Case
from tests.tiny import SETTINGS, Setting

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
QUESTION, NEW_TOKENS = "Where is the cat?", 12
DTYPES = (torch.float32, torch.bfloat16)
PAIRS = [
    (setting, case)
    for setting in (SETTINGS if torch.cuda.is_available() else SETTINGS[:1])
    for case in (ONE_EACH if torch.cuda.is_available() else ONE_EACH[:1])  # one line is skipped
    if setting.runs(case.create())
]
each_run = pytest.mark.parametrize(("setting", "case"), PAIRS, ids=lambda part: part.id)
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)


@lru_cache
def on_cuda(model: Callable[..., Any], dtype: torch.dtype) -> Adapter:
    """A tiny model of its own on CUDA: the tests on the CPU share theirs."""
    adapter = model.__wrapped__(dtype)  # type: ignore[attr-defined]
    adapter.model.to("cuda")
    return adapter


def decoded(
    setting: Setting,
    case: Case,
    dtype: torch.dtype = torch.float32,
    new_tokens: int = NEW_TOKENS,
) -> Lane:
    """A lane on CUDA after `new_tokens` of decode."""
    lane = Lane(on_cuda(setting.model, dtype), setting.upload(), QUESTION, case.create())
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        step()
    if new_tokens:
        list(lane.decode(new_tokens, 0.0, 0, stops=False))
    return lane


@each_setting
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_vanilla_is_generate_on_cuda(setting: Setting, dtype: torch.dtype) -> None:
    adapter = on_cuda(setting.model, dtype)
    with torch.inference_mode():
        prompt = adapter.prepare(setting.upload(), QUESTION)
        stock = adapter.generate(prompt, NEW_TOKENS, min_new_tokens=NEW_TOKENS)
    lane = decoded(setting, CASES[0], dtype)
    assert lane.stream.ids == stock[0, -NEW_TOKENS:].tolist()


@each_run
def test_on_cuda_a_lane_keeps_the_laws_and_repeats_itself(setting: Setting, case: Case) -> None:
    one, other = decoded(setting, case, new_tokens=2), decoded(setting, case, new_tokens=2)
    num_layers = one.adapter.decoder.num_layers
    assert one.trace().per_layer.tolist() == one.budget.per_layer(num_layers)
    added = one.prompt.num_text + 1  # of two tokens the last is not cached
    cached = [layer.get_seq_length() - added for layer in one.state.cache.layers]
    assert cached == one.budget.in_cache(num_layers)
    assert torch.equal(one.token_map.anchors, other.token_map.anchors)
    assert one.stream.ids == other.stream.ids


@each_run
def test_on_cuda_logits_are_finite_in_bfloat16(setting: Setting, case: Case) -> None:
    lane = decoded(setting, case, torch.bfloat16, new_tokens=0)
    assert lane.state.logits.isfinite().all()


@each_setting
def test_retention_one_is_vanilla_on_cuda(setting: Setting) -> None:
    whole = Case("whole", "visionzip", {"retention_ratio": 1.0})
    vanilla = decoded(setting, CASES[0])
    assert vanilla.stream.ids == decoded(setting, whole).stream.ids
