"""Reads checkpoints of LLaVA-NeXT's own code into the classes of transformers.

The LLM is a Qwen2, the encoder a SigLIP that config.json only names. Settings of the clip layout
keep their own names, for models/families/llava_video.py. Any value that has no counterpart here is
refused: a model that runs in another way than in training answers worse, without an error.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
)
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from models.checkpoints.names import format_names

log = logging.getLogger(__name__)

TOWERS = {  # by the last part of mm_vision_tower, without the last layer and the pooling head
    "siglip-so400m-patch14-384": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 26,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 384,
    }
}
REQUIRED = {  # accepted values; a key may be missing if None is accepted
    "architectures": (["LlavaQwenForCausalLM"],),
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_patch_merge_type": ("spatial_unpad",),
    "mm_resampler_type": (None,),
    "mm_use_im_start_end": (False, None),
    "add_faster_video": (False, None),
    "use_sliding_window": (False, None),
    "rope_scaling": (None,),
}
CLIP_LAYOUT = {  # accepted values; the first one is the official code's default
    "mm_spatial_pool_mode": ("bilinear", "average"),
    "mm_spatial_pool_stride": (2, 1, 3, 4),
    "mm_newline_position": ("one_token", "grid", "frame", "no_token"),
    "add_time_instruction": (False, True),
}
TEXT = (  # keys that Qwen2's config has too
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "vocab_size"),
    *("bos_token_id", "eos_token_id"),
)
CROPS = re.compile(r"anyres_max_\d+")
GRID = re.compile(r"\((\d+)x(\d+)\)")

RENAMED = (  # prefix of a tensor's name, and its prefix in transformers; other names are the same
    (r"^model\.vision_tower\.vision_tower\.vision_model\.", "model.vision_tower."),
    (r"^model\.mm_projector\.0\.", "model.multi_modal_projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "model.multi_modal_projector.linear_2."),
    (r"^model\.(layers|embed_tokens|norm)\.", r"model.language_model.\1."),
)
LAYER = re.compile(r"model\.vision_tower\.encoder\.layers\.(\d+)\.")


def load_original(
    folder: Path, dtype: str | torch.dtype, **options: Any
) -> LlavaOnevisionForConditionalGeneration:
    """The model in a folder. Raises `ValueError` if tensors are missing or unknown.

    `options` are further arguments of `from_pretrained`.
    """
    config = translate_config(read_json(folder / "config.json"))
    tensors, unused = translate_tensors(read_tensors(folder), config)
    if unused:
        log.info("%s: LLaVA does not use %s", folder.name, ", ".join(unused))
    # Not assigned into a model on meta: its rotary frequencies would stay there.
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=tensors, dtype=dtype, attn_implementation="sdpa", **options
    )
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.eval().requires_grad_(False)


def new_processor(config: LlavaOnevisionConfig) -> LlavaOnevisionImageProcessorPil:
    """SigLIP's image processor; the checkpoint has none."""
    side, half = config.vision_config.image_size, [0.5, 0.5, 0.5]
    return LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side},
        image_mean=half,
        image_std=half,
        image_grid_pinpoints=config.image_grid_pinpoints,
    )


def translate_config(original: Mapping[str, Any]) -> LlavaOnevisionConfig:
    """config.json as a config of transformers. Raises `ValueError` for a value it cannot run."""
    for key, accepted in REQUIRED.items():
        check_value(key, original.get(key), accepted)
    tower = str(original.get("mm_vision_tower")).rsplit("/", 1)[-1]
    check_value("mm_vision_tower", tower, tuple(TOWERS))
    if missing := [key for key in (*TEXT, "rope_theta") if key not in original]:
        raise ValueError(f"config.json lacks {', '.join(missing)}: it is incomplete.")
    vision, vocabulary = TOWERS[tower], original["vocab_size"]
    tied = bool(original.get("tie_word_embeddings"))
    return LlavaOnevisionConfig(
        text_config={
            **{key: original[key] for key in TEXT},
            "model_type": "qwen2",
            "rope_parameters": {"rope_type": "default", "rope_theta": original["rope_theta"]},
            "tie_word_embeddings": tied,
        },
        vision_config={**vision, "model_type": "siglip_vision_model", "vision_use_head": False},
        # The tokenizer has no placeholder for an upload: these rows of the vocabulary are padding.
        image_token_id=vocabulary - 2,
        video_token_id=vocabulary - 1,
        image_grid_pinpoints=parse_pinpoints(
            original.get("image_grid_pinpoints"), vision["image_size"]
        ),
        vision_aspect_ratio=check_aspect_ratio(original.get("image_aspect_ratio")),
        tie_word_embeddings=tied,
        **clip_layout(original),
    )


def clip_layout(original: Mapping[str, Any]) -> dict[str, Any]:
    layout = {}
    for key, accepted in CLIP_LAYOUT.items():
        layout[key] = accepted[0] if original.get(key) is None else original[key]
        check_value(key, layout[key], accepted)
    return layout


def check_aspect_ratio(ratio: Any) -> str:
    """Accepts for example "anyres_max_9": at most as many tokens as 9 crops have."""
    if not isinstance(ratio, str) or not CROPS.fullmatch(ratio):
        raise ValueError(f"config.json has image_aspect_ratio {ratio!r}, wanted anyres_max_9.")
    return ratio


def parse_pinpoints(value: Any, side: int) -> list[list[int]]:
    """Sizes [height, width] for enlarging a picture, from a list or from "(1x1),...,(6x6)"."""
    ends = GRID.findall(value) if isinstance(value, str) else []
    if len(ends) == 2:
        (low, left), (high, right) = [map(int, end) for end in ends]
        rows, cols = range(low, high + 1), range(left, right + 1)
        return [[side * down, side * across] for down in rows for across in cols]
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"config.json has image_grid_pinpoints {value!r}, wanted a list of sizes "
            'or "(1x1),...,(6x6)".'
        )
    return value


def check_value(key: str, value: Any, accepted: tuple[Any, ...]) -> None:
    if value not in accepted:
        wanted = " or ".join(repr(each) for each in accepted)
        raise ValueError(
            f"config.json has {key} {value!r}, wanted {wanted}: "
            "other variants of LLaVA-NeXT are not supported."
        )


def translate_tensors(
    original: Mapping[str, Tensor], config: LlavaOnevisionConfig
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under transformers' names, and the names of the tensors that LLaVA does not use.

    Unused are the encoder's pooling head and its layers after the one that feeds the projector.
    """
    with torch.device("meta"):
        wanted = LlavaOnevisionForConditionalGeneration(config).state_dict()
    if config.tie_word_embeddings:
        del wanted["lm_head.weight"]
    names = {rename(name): name for name in original}
    extra = [name for name in names if name not in wanted]
    if unknown := [names[name] for name in extra if not is_unused(name, config)]:
        raise ValueError(
            f"The checkpoint holds {format_names(unknown)}; LLaVA-Video has no such tensor."
        )
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(f"The checkpoint lacks {format_names(missing)}: it is incomplete.")
    for name, tensor in wanted.items():
        if tensor.shape != (shape := original[names[name]].shape):
            raise ValueError(f"{names[name]} is {tuple(shape)}, wanted {tuple(tensor.shape)}.")
    return {name: original[names[name]] for name in wanted}, [names[name] for name in extra]


def rename(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def is_unused(name: str, config: LlavaOnevisionConfig) -> bool:
    if name.startswith("model.vision_tower.head."):
        return True
    layer = LAYER.match(name)
    return layer is not None and int(layer[1]) >= config.vision_config.num_hidden_layers


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors: one file or several shards."""
    index = folder / "model.safetensors.index.json"
    files = ["model.safetensors"]
    if index.is_file():
        files = sorted(set(read_json(index)["weight_map"].values()))
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise ValueError(f"{folder.name} lacks {format_names(missing)}; download it again.")
    return {name: tensor for file in files for name, tensor in load_file(folder / file).items()}


def read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.parent.name} lacks {path.name}; download the checkpoint again.")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
