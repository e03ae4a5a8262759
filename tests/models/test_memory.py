"""Memory is estimated before loading; a model that does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models import memory
from models.catalog import CATALOG, find
from models.loading import load
from models.memory import GIB, estimate, free, lanes_at_once, parameters
from models.shapes import SHAPES
from pruning.methods import create
from tests.tiny import SETTINGS, Setting, prefilled, tiny_llava, tiny_onevision

PUBLISHED = {  # parameters, in billions
    "llava-1.5-7b": 7.063,
    "llava-1.5-13b": 13.351,
    "llava-onevision-0.5b": 0.894,
    "llava-onevision-7b": 8.031,
    "llava-video-7b": 8.030,
    "qwen2.5-vl-3b": 3.755,
    "qwen2.5-vl-7b": 8.292,
    "qwen3-vl-8b": 8.767,
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_as_many_parameters_as_its_checkpoint(name: str) -> None:
    assert round(parameters(SHAPES[name]()) / 1e9, 3) == PUBLISHED[name]


def test_the_weights_of_7b_in_half_precision_are_13_gib() -> None:
    wanted = estimate(SHAPES["llava-1.5-7b"](), 576, "bfloat16")
    assert round(wanted.weights / GIB, 1) == 13.2
    assert wanted.total == wanted.weights + wanted.cache + wanted.work


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
def test_the_estimated_cache_equals_the_real_one(setting: Setting) -> None:
    lane = prefilled(setting.model(), create("vanilla"), setting.upload())
    tokens, text = len(lane.prompt.layout), lane.prompt.num_text
    config, rows = lane.adapter.model.config, tokens + text
    cache, _ = memory.count_numbers(config, tokens + text - memory.TEXT, lanes=1)
    assert cache * 4 == lane.state.kv_bytes and rows == lane.state.rows_per_layer[0]


def test_free_memory_is_the_systems_available_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       8000 kB\nMemFree:  9 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert free("cpu") == 4000 * 1024
    meminfo.unlink()
    assert free("cpu") is None


def test_memory_that_torch_reserves_but_does_not_use_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert free("cuda") == free("cuda:0") == 15


@pytest.mark.parametrize("name", [card.name for card in CATALOG if card.revision])
def test_a_model_that_does_not_fit_is_refused_before_it_is_built(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(memory, "free", lambda device: GIB)
    with pytest.raises(
        ValueError, match=r"needs \d.* GiB \(weights .*, but 1.0 GiB is free on cpu"
    ):
        load(f"{name}@random", device="cpu")


def test_a_refusal_includes_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda device: GIB)
    for dtype, advice in (
        ("float32", "choose a smaller model or set TOKENSCOPE_DTYPE=bfloat16."),
        ("bfloat16", "choose a smaller model."),
    ):
        with pytest.raises(ValueError) as refused:
            load("llava-1.5-7b@random", device="cpu", dtype=dtype)
        assert str(refused.value).endswith(advice)


def test_a_model_is_not_refused_if_free_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda device: None)
    memory.check(find("llava-1.5-13b"), SHAPES["llava-1.5-13b"](), "cpu", "float32")


def test_a_request_is_refused_only_if_not_even_one_lane_of_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter = tiny_onevision()
    cache, work = (4 * each for each in memory.count_numbers(adapter.model.config, 72, 1))
    for lanes in (1, 2, 3, 4, 5):
        monkeypatch.setattr(memory, "free", lambda device, lanes=lanes: work + lanes * cache)
        assert lanes_at_once("a", adapter, 72, lanes=4) == min(lanes, 4)
    with pytest.raises(ValueError, match=r"40,000 visual tokens need .* GiB besides a itself, but"):
        lanes_at_once("a", adapter, 40_000, lanes=4)
    monkeypatch.setattr(memory, "free", lambda device: None)
    assert lanes_at_once("a", adapter, 40_000, lanes=4) == 4


def test_llava_7b_in_bfloat16_is_not_refused_on_a_card_of_16_gib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "free", lambda device: int(15.6 * GIB))
    memory.check(find("llava-1.5-7b"), SHAPES["llava-1.5-7b"](), "cuda", "bfloat16")


def test_tied_parameters_are_counted_once_as_the_model_does() -> None:
    config = tiny_llava().model.config
    assert parameters(config) == tiny_llava().model.num_parameters()
