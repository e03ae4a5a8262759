"""Law 1: without compression our loops are `model.generate`, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.llava import LlavaAdapter
from models.pipeline import run_lane
from pruning.methods import create
from tests.tiny import picture, prefilled, tiny_llava

NEW_TOKENS = 12
QUESTION = "Where is the cat?"
MODELS = [
    (torch.float32, 2, "sdpa"),
    (torch.float32, 4, "sdpa"),
    (torch.float32, 1, "eager"),
    (torch.bfloat16, 2, "sdpa"),
    (torch.bfloat16, 2, "eager"),
]


def generate(adapter: LlavaAdapter) -> Any:
    """Stock transformers, with the logits that it chose by."""
    prompt = adapter.prepare(picture(), QUESTION)
    return adapter.generate(prompt, NEW_TOKENS, output_logits=True, return_dict_in_generate=True)


@pytest.mark.parametrize(("dtype", "kv_heads", "kernel"), MODELS)
def test_vanilla_is_generate_to_the_last_bit(
    dtype: torch.dtype, kv_heads: int, kernel: str
) -> None:
    adapter = tiny_llava(dtype, kv_heads, kernel)
    expected = generate(adapter)
    lane = prefilled(adapter, create("vanilla"), question=QUESTION)
    logits, ours = [lane.state.logits], [int(lane.state.logits.argmax())]
    with torch.inference_mode():
        for count in range(NEW_TOKENS - 1):
            positions = lane.state.positions + count
            logits.append(adapter.decoder.step(ours[-1], positions, lane.state.cache))
            ours.append(int(logits[-1].argmax()))
    stock = torch.cat(expected.logits).float()
    assert ours == expected.sequences[0, -NEW_TOKENS:].tolist()
    assert torch.equal(torch.stack(logits), stock)
    assert len(set(ours)) > 1  # a model that repeats itself would prove little


def test_the_answer_is_generate_s_answer() -> None:
    adapter = tiny_llava()
    *_, result = run_lane(
        adapter, picture(), QUESTION, create("vanilla"), max_new_tokens=NEW_TOKENS
    )
    assert result.answer == adapter.to_text(generate(adapter).sequences[0, -NEW_TOKENS:].tolist())
