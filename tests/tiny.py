"""Tiny models with random weights, made in memory: the engine's laws run on them in seconds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from models.llava import LlavaAdapter
from models.media import Media, drawn
from models.pipeline import Lane
from pruning.base import CompressionMethod

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else ' ' + part['text'] }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} >{% endif %}"
)


@lru_cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, so that a character may take several."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=["<image>"],
        chat_template=TEMPLATE,
    )


def tiny_config(kv_heads: int = 2) -> LlavaConfig:
    """6 x 6 = 36 visual tokens, an encoder of 6 layers, an LLM of 8."""
    tokenizer = tiny_tokenizer()
    return LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=6,
            num_attention_heads=4,
            image_size=48,
            patch_size=8,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=8,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            max_position_embeddings=4096,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


@lru_cache
def tiny_llava(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> LlavaAdapter:
    """Weights are larger than before training: attention must not be near uniform."""
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration._from_config(
        tiny_config(kv_heads), dtype=dtype, attn_implementation=kernel
    )
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.copy_(torch.randn(weight.shape) * weight.shape[-1] ** -0.5)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}
    )
    return LlavaAdapter(model.eval().requires_grad_(False), tiny_tokenizer(), processor)


def picture(height: int = 60, width: int = 90, seed: int = 0) -> Media:
    """Noise over a slope, wider than high."""
    noise = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    slope = np.linspace(0, 127, width)[:, None]
    return drawn((noise + slope).astype(np.uint8))


def prefilled(
    adapter: LlavaAdapter,
    method: CompressionMethod,
    media: Media | None = None,
    question: str = "What is this?",
) -> Lane:
    """A lane just before decode."""
    lane = Lane(adapter, media or picture(), question, method)
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        step()
    return lane
