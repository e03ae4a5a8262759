"""Law 1: without compression our loops equal `model.generate` exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Qwen2Config

from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.uploads.media import Media
from pruning.methods import create
from tests.tiny import SETTINGS, Setting, clip, picture, prefilled, tiny_onevision

NEW_TOKENS = 8
QUESTION = "Where is the cat?"
MODELS = [
    (torch.float32, 2, "sdpa"),
    (torch.float32, 4, "sdpa"),
    (torch.float32, 1, "eager"),
    (torch.bfloat16, 2, "sdpa"),
    (torch.bfloat16, 2, "eager"),
]


def generate(adapter: Adapter, media: Media) -> Any:
    """Stock transformers, with the logits that it chose by."""
    prompt = adapter.prepare(media, QUESTION)
    return adapter.generate(prompt, NEW_TOKENS, output_logits=True, return_dict_in_generate=True)


def assert_equal(adapter: Adapter, media: Media, rounding: float = 0.0) -> None:
    """Tokens and logits of our loops are those of stock transformers."""
    expected = generate(adapter, media)
    lane = prefilled(adapter, create("vanilla"), media, QUESTION)
    logits, ours = [lane.state.logits], [int(lane.state.logits.argmax())]
    with torch.inference_mode():
        for count in range(len(expected.logits) - 1):  # fewer where stock ends its answer
            positions = lane.state.positions + count
            logits.append(adapter.decoder.step(ours[-1], positions, lane.state.cache))
            ours.append(int(logits[-1].argmax()))
    stock = torch.cat(expected.logits).float()
    assert ours == expected.sequences[0, -len(ours) :].tolist()
    assert (torch.stack(logits) - stock).abs().max() <= rounding
    assert len(set(ours)) > 1  # a model that repeats itself would prove little


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
@pytest.mark.parametrize(("dtype", "kv_heads", "kernel"), MODELS)
def test_vanilla_is_generate_to_the_last_bit(
    setting: Setting, dtype: torch.dtype, kv_heads: int, kernel: str
) -> None:
    """But for products of matrices that Qwen's encoder has at once, and eager stock one by one."""
    at_once = not setting.on_one_axis and kernel == "eager"
    rounding = 1e-5 if at_once else 0.0
    assert_equal(setting.model(dtype, kv_heads, kernel), setting.upload(), rounding)


@pytest.mark.parametrize("media", [picture(), clip()], ids=lambda media: media.kind)
def test_vanilla_is_generate_with_the_llm_of_onevision(media: Media) -> None:
    assert_equal(tiny_onevision(llm=Qwen2Config), media)


@pytest.mark.parametrize("size", [(300, 20), (40, 40), (1, 500), (86, 86)], ids=str)
@pytest.mark.parametrize("most_crops", [1, 9])
def test_vanilla_is_generate_for_crops_of_any_number(
    size: tuple[int, int], most_crops: int
) -> None:
    assert_equal(tiny_onevision(most_crops=most_crops), picture(*size))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
def test_the_answer_is_generate_s_answer(setting: Setting) -> None:
    adapter, media = setting.model(), setting.upload()
    *_, result = run_lane(adapter, media, QUESTION, create("vanilla"), max_new_tokens=NEW_TOKENS)
    expected = generate(adapter, media).sequences[0, -NEW_TOKENS:].tolist()
    assert result.answer == adapter.to_text(expected)
