"""Qwen models answer the same before saving and after loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from models.families.qwen_base import QwenBase
from pruning.methods import create
from tests.tiny import picture, prefilled, tiny_qwen2_5_vl, tiny_qwen3_vl


@pytest.mark.parametrize("model", [tiny_qwen2_5_vl, tiny_qwen3_vl])
def test_a_checkpoint_answers_as_the_model_that_was_saved(
    model: Callable[[], QwenBase], tmp_path: Path
) -> None:
    adapter = model()
    for part in (adapter.model, adapter.tokenizer, adapter.processor):
        part.save_pretrained(tmp_path)
    model = type(adapter.model).from_pretrained(
        tmp_path, dtype="float32", attn_implementation="sdpa", local_files_only=True
    )
    loaded = type(adapter)(
        model.eval().requires_grad_(False),
        AutoTokenizer.from_pretrained(tmp_path, local_files_only=True),
        Qwen2VLImageProcessorPil.from_pretrained(tmp_path, local_files_only=True),
    )
    ours, theirs = (
        prefilled(one, create("nuwa", retention_ratio=0.5), picture()) for one in (adapter, loaded)
    )
    assert (ours.state.logits - theirs.state.logits).abs().max() < 1e-5
