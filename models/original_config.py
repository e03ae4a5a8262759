"""The config.json of LLaVA-NeXT's own code as a config of transformers.

Its LLM is Qwen2's, its encoder a SigLIP that the file only names. What it says of the layout of
clips is kept under its own names, for models/families/llava_video.py. Values that have no
translation are refused: a model run in another way than it was trained in answers, only worse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformers import LlavaOnevisionConfig

TOWERS = {  # by the last part of mm_vision_tower; LLaVA drops the last layer and the pooling head
    "siglip-so400m-patch14-384": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 26,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 384,
    }
}
FIXED = {  # what has to be so, or, with None among the values, may be left out
    "architectures": (["LlavaQwenForCausalLM"],),
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_patch_merge_type": ("spatial_unpad",),
    "mm_resampler_type": (None,),
    "mm_use_im_start_end": (False, None),
    "add_faster_video": (False, None),
    "use_sliding_window": (False, None),
    "rope_scaling": (None,),
}
CLIPS = {  # what may be so; the first value is what the official code takes where none is given
    "mm_spatial_pool_mode": ("bilinear", "average"),
    "mm_spatial_pool_stride": (2, 1, 3, 4),
    "mm_newline_position": ("one_token", "grid", "frame", "no_token"),
    "add_time_instruction": (False, True),
}
TEXT = (  # what Qwen2's config takes over
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "vocab_size"),
    *("bos_token_id", "eos_token_id"),
)
CROPS = re.compile(r"anyres_max_\d+")
CELLS = re.compile(r"\((\d+)x(\d+)\)")


def translate_config(original: Mapping[str, Any]) -> LlavaOnevisionConfig:
    """What config.json says, or a sentence about the value that cannot be translated."""
    for key, known in FIXED.items():
        check(key, original.get(key), known)
    tower = str(original.get("mm_vision_tower")).rsplit("/", 1)[-1]
    check("mm_vision_tower", tower, tuple(TOWERS))
    if missing := [key for key in (*TEXT, "rope_theta") if key not in original]:
        raise ValueError(f"config.json lacks {', '.join(missing)}: it is not whole.")
    vision, vocabulary = TOWERS[tower], original["vocab_size"]
    tied = bool(original.get("tie_word_embeddings"))
    text = {key: original[key] for key in TEXT}
    rotary = {"rope_type": "default", "rope_theta": original["rope_theta"]}
    return LlavaOnevisionConfig(
        text_config={
            **text,
            "model_type": "qwen2",
            "rope_parameters": rotary,
            "tie_word_embeddings": tied,
        },
        vision_config={**vision, "model_type": "siglip_vision_model", "vision_use_head": False},
        # No word of the tokenizer stands for an upload: these rows of the vocabulary are padding.
        image_token_id=vocabulary - 2,
        video_token_id=vocabulary - 1,
        image_grid_pinpoints=pinpoints(original.get("image_grid_pinpoints"), vision["image_size"]),
        vision_aspect_ratio=crops(original.get("image_aspect_ratio")),
        tie_word_embeddings=tied,
        **layout_of_clips(original),
    )


def layout_of_clips(original: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {}
    for key, known in CLIPS.items():
        chosen[key] = known[0] if original.get(key) is None else original[key]
        check(key, chosen[key], known)
    return chosen


def crops(ratio: Any) -> str:
    """Such as "anyres_max_9": at most as many tokens as 9 crops have."""
    if not isinstance(ratio, str) or not CROPS.fullmatch(ratio):
        raise ValueError(f"config.json has image_aspect_ratio {ratio!r}, wanted anyres_max_9.")
    return ratio


def pinpoints(given: Any, side: int) -> list[list[int]]:
    """Sizes [height, width] that a picture may be enlarged to; also of "(1x1),...,(6x6)" crops."""
    ends = CELLS.findall(given) if isinstance(given, str) else []
    if len(ends) == 2:
        (low, left), (high, right) = [map(int, end) for end in ends]
        rows, cols = range(low, high + 1), range(left, right + 1)
        return [[side * down, side * across] for down in rows for across in cols]
    if not isinstance(given, list) or not given:
        raise ValueError(
            f"config.json has image_grid_pinpoints {given!r}, wanted a list of sizes "
            'or "(1x1),...,(6x6)".'
        )
    return given


def check(key: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        wanted = " or ".join(repr(each) for each in known)
        raise ValueError(
            f"config.json has {key} {value!r}, wanted {wanted}: "
            "no other layout of LLaVA-NeXT can be run."
        )
