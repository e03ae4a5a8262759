"""A tiny checkpoint as LLaVA-NeXT publishes them: config, tensors by its names, and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from models.checkpoints.llava_next import translate_config
from tests.models.hub import PINPOINTS, TEXT, qwen_tokenizer, save_json, save_shards
from tests.tiny import randomised

TOWER = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "patch_size": 8,
    "image_size": 43,
}
CONFIG = {  # of lmms-lab/LLaVA-Video-7B-Qwen2, but for sizes
    **TEXT,
    "add_faster_video": False,
    "add_time_instruction": True,
    "architectures": ["LlavaQwenForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 256,
    "eos_token_id": 258,
    "force_sample": True,
    "hidden_act": "silu",
    "image_aspect_ratio": "anyres_max_9",
    "image_grid_pinpoints": PINPOINTS,
    "max_position_embeddings": 4096,
    "max_window_layers": 4,
    "mm_hidden_size": 48,
    "mm_newline_position": "grid",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_projector_type": "mlp2x_gelu",
    "mm_resampler_type": None,
    "mm_spatial_pool_mode": "average",
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "nobody/siglip-tiny",
    "model_type": "llava_qwen",
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}


def original_tensors(layers: int = 4) -> dict[str, Tensor]:
    """Named as LLaVA-NeXT names them; its encoder has a layer and a head that LLaVA drops."""
    model = randomised(LlavaOnevisionForConditionalGeneration(translate_config(CONFIG)))
    vision = SiglipVisionConfig(**TOWER | {"num_hidden_layers": layers}, vision_use_head=True)
    tower = randomised(SiglipVisionModel(vision))
    inner, named = model.model, {}
    for part, prefix in (
        (tower, "model.vision_tower.vision_tower.vision_model."),
        (inner.language_model, "model."),
        (inner.multi_modal_projector.linear_1, "model.mm_projector.0."),
        (inner.multi_modal_projector.linear_2, "model.mm_projector.2."),
        (model.lm_head, "lm_head."),
    ):
        named |= {prefix + name: tensor for name, tensor in part.state_dict().items()}
    return {**named, "model.image_newline": torch.randn(64)}


def save_original(folder: Path, tensors: dict[str, Tensor], **changes: Any) -> None:
    save_json(folder / "config.json", CONFIG | changes)
    ends = {"eos_token_id": [258, 256], "repetition_penalty": 1.05, "do_sample": True}
    save_json(folder / "generation_config.json", ends)
    save_shards(folder, {name: tensor.clone() for name, tensor in tensors.items()})
    qwen_tokenizer(folder)
