"""Configs of the published checkpoints, for counting and for random weights.

Sizes are those of each repository's config.json. Each call returns a new config.
"""

from __future__ import annotations

from collections.abc import Callable

from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaOnevisionConfig,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen3VLConfig,
    SiglipVisionConfig,
)


def llm_sizes(width: int, ffn: int, layers: int, heads: int, kv_heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


QWEN2_500M = llm_sizes(896, 4864, layers=24, heads=14, kv_heads=2)
QWEN2_3B = llm_sizes(2048, 11008, layers=36, heads=16, kv_heads=2)
QWEN2_7B = llm_sizes(3584, 18944, layers=28, heads=28, kv_heads=4)
QWEN3_8B = llm_sizes(4096, 12288, layers=36, heads=32, kv_heads=8)
ROPE = {"rope_type": "default", "rope_theta": 1e6}


def llava(llm: dict[str, int]) -> LlavaConfig:
    """CLIP-L/14 at 336 pixels, and a Vicuna."""
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    text = LlamaConfig(vocab_size=32064, max_position_embeddings=4096, rms_norm_eps=1e-5, **llm)
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def llava_7b() -> LlavaConfig:
    return llava(llm_sizes(4096, 11008, layers=32, heads=32, kv_heads=32))


def llava_13b() -> LlavaConfig:
    return llava(llm_sizes(5120, 13824, layers=40, heads=40, kv_heads=40))


def onevision(llm: dict[str, int], vocabulary: int, *, tied: bool) -> LlavaOnevisionConfig:
    """SigLIP-so400m/14 at 384 pixels without its last layer and its head, and a Qwen2."""
    vision = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=26,
        num_attention_heads=16,
        image_size=384,
        patch_size=14,
        hidden_act="gelu_pytorch_tanh",
        vision_use_head=False,
    )
    text = Qwen2Config(
        vocab_size=vocabulary,
        max_position_embeddings=32768,
        rope_parameters=ROPE,
        tie_word_embeddings=tied,
        **llm,
    )
    return LlavaOnevisionConfig(
        vision_config=vision,
        text_config=text,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
        tie_word_embeddings=tied,
    )


def onevision_500m() -> LlavaOnevisionConfig:
    return onevision(QWEN2_500M, 152000, tied=True)


def onevision_7b() -> LlavaOnevisionConfig:
    return onevision(QWEN2_7B, 152128, tied=False)


def llava_video_7b() -> LlavaOnevisionConfig:
    """OneVision's config, with the clip layout that the authors describe."""
    config = onevision(QWEN2_7B, 152064, tied=False)
    config.mm_spatial_pool_mode, config.mm_spatial_pool_stride = "average", 2
    config.mm_newline_position, config.add_time_instruction = "grid", True
    return config


def qwen_2_5_vl(llm: dict[str, int], vocabulary: int, *, tied: bool) -> Qwen2_5_VLConfig:
    """An encoder of 32 layers with window attention, and a Qwen2 with three position axes."""
    vision = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
        "out_hidden_size": llm["hidden_size"],
    }
    text = {
        "vocab_size": vocabulary,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {**ROPE, "mrope_section": [16, 24, 24]},
        "tie_word_embeddings": tied,
        **llm,
    }
    return Qwen2_5_VLConfig(vision_config=vision, text_config=text, tie_word_embeddings=tied)


def qwen_2_5_vl_3b() -> Qwen2_5_VLConfig:
    return qwen_2_5_vl(QWEN2_3B, 151936, tied=True)


def qwen_2_5_vl_7b() -> Qwen2_5_VLConfig:
    return qwen_2_5_vl(QWEN2_7B, 152064, tied=False)


def qwen_3_vl_8b() -> Qwen3VLConfig:
    """An encoder of 27 layers that feeds the LLM's first layers too, and a Qwen3."""
    vision = {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [8, 16, 24],
        "out_hidden_size": 4096,
    }
    rope = {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    }
    text = {
        **QWEN3_8B,
        "vocab_size": 151936,
        "head_dim": 128,
        "max_position_embeddings": 262144,
        "rope_parameters": rope,
    }
    return Qwen3VLConfig(vision_config=vision, text_config=text)


SHAPES: dict[str, Callable[[], PreTrainedConfig]] = {
    "llava-1.5-7b": llava_7b,
    "llava-1.5-13b": llava_13b,
    "llava-onevision-0.5b": onevision_500m,
    "llava-onevision-7b": onevision_7b,
    "llava-video-7b": llava_video_7b,
    "qwen2.5-vl-3b": qwen_2_5_vl_3b,
    "qwen2.5-vl-7b": qwen_2_5_vl_7b,
    "qwen3-vl-8b": qwen_3_vl_8b,
}
