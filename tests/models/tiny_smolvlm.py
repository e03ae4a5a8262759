"""A tiny SmolVLM with random weights."""

from __future__ import annotations

from functools import lru_cache

import torch
from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from models.families.smolvlm import AROUND, WHOLE_PICTURE, SmolVLMAdapter
from tests.tiny import build, text_config, tiny_tokenizer

SIGNS = ("<image>", AROUND, WHOLE_PICTURE, "<row_1_col_1>", "<row_1_col_2>")


@lru_cache
def tiny_smolvlm(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> SmolVLMAdapter:
    """Tiles of 6 x 6 patches, folded into 3 x 3 tokens; pictures of at most 2 x 2 tiles."""
    tokenizer = tiny_tokenizer(SIGNS)
    text = text_config(kv_heads).to_dict() | {"vocab_size": len(tokenizer)}
    config = SmolVLMConfig(
        vision_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 48,
            "patch_size": 8,
        },
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    model = build(SmolVLMForConditionalGeneration, config, dtype, kernel, seed=8)
    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 96}, max_image_size={"longest_edge": 48}
    )
    return SmolVLMAdapter(model, tokenizer, processor)
