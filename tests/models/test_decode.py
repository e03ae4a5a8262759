"""Text deltas join to the text of all ids."""

from __future__ import annotations

import pytest
import torch

from models.engine.decode import TextStream, sample_token
from tests.tiny import tiny_llava

TEXTS = ["plain", "naïve café", "日本語の文", "🙂🙃 mixed é", "a\N{COMBINING ACUTE ACCENT}", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_deltas_join_to_the_whole_text(text: str) -> None:
    adapter = tiny_llava()
    stream = TextStream(adapter.to_text)
    ids = adapter.tokenizer(text, add_special_tokens=False).input_ids  # one token a byte
    deltas = [stream.push(token) for token in ids]
    assert "".join(deltas) + stream.finish() == adapter.to_text(ids) == text == stream.text
    assert not any("\N{REPLACEMENT CHARACTER}" in delta for delta in deltas)


def test_an_incomplete_character_is_emitted_at_the_end() -> None:
    adapter = tiny_llava()
    stream = TextStream(adapter.to_text)
    ids = adapter.tokenizer("ok é", add_special_tokens=False).input_ids[:-1]
    deltas = [stream.push(token) for token in ids]
    assert "".join(deltas) == "ok "
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"


def test_special_tokens_have_no_text() -> None:
    adapter = tiny_llava()
    stream = TextStream(adapter.to_text)
    assert stream.push(adapter.tokenizer.eos_token_id) + stream.finish() == ""


def test_temperature_sharpens_or_flattens_the_draw() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    draw = torch.Generator().manual_seed(0)
    assert sample_token(logits, 0.0, draw) == 2
    assert {int(sample_token(logits, 0.01, draw)) for _ in range(50)} == {2}
    assert {int(sample_token(logits, 100.0, draw)) for _ in range(50)} == {0, 1, 2}
