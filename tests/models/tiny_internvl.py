"""A tiny InternVL with random weights."""

from __future__ import annotations

from functools import lru_cache

import torch
from transformers import InternVLConfig, InternVLForConditionalGeneration
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from models.families.internvl import InternVLAdapter
from tests.tiny import build, text_config, tiny_tokenizer

SIGNS = ("<image>", "<img>", "</img>")


@lru_cache
def tiny_internvl(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa", llm: str = "qwen3"
) -> InternVLAdapter:
    """Tiles of 6 x 6 patches, folded into 3 x 3 tokens; a Qwen3, as InternVL3.5 has."""
    tokenizer = tiny_tokenizer(SIGNS)
    text = text_config(kv_heads).to_dict() | {"vocab_size": len(tokenizer), "model_type": llm}
    config = InternVLConfig(
        vision_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "attention_bias": True,
            "image_size": 48,
            "patch_size": 8,
            "layer_scale_init_value": 1.0,
        },
        text_config=text | {"head_dim": 16, "architectures": None},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=9,
        tie_word_embeddings=False,
    )
    model = build(InternVLForConditionalGeneration, config, dtype, kernel, seed=6)
    processor = GotOcr2ImageProcessorPil(size={"height": 48, "width": 48}, max_patches=6)
    return InternVLAdapter(model, tokenizer, processor)
