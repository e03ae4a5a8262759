"""How the checkpoints of each family are read. Heavy imports are inside the functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog import ModelCard
from models.checkpoints.names import format_names

if TYPE_CHECKING:
    from models.engine.base import Adapter

LOCAL = {"local_files_only": True, "trust_remote_code": False}
STORED = re.compile(r"\.(position_ids|inv_freq)$")  # buffers that older checkpoints hold
QWEN_TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
IMAGE_AND_VIDEO = {"image_token_id": "<image>", "video_token_id": "<video>"}


@dataclass(frozen=True)
class Family:
    """The classes and settings that load the models of one adapter.

    Image processors are Pillow's: they compute the same pixels on every machine.
    """

    architecture: str  # in a checkpoint's config
    read: Callable[..., Any]  # (folder, dtype, **options of from_pretrained) -> model
    adapter: Callable[..., Adapter]  # (model, tokenizer, processor) -> adapter
    new_processor: Callable[[Any], Any]  # config -> processor, if no folder has one
    read_processor: Callable[[Path], Any] | None  # folder -> processor; None if it has none
    special_tokens: dict[str, str]  # names of ids in the config, and their tokens if random
    marker: str = "<{}>"  # placeholder of an upload in the text; {} is its kind


def stock(model: Any) -> Callable[..., Any]:
    """A reader of safetensors into a class of transformers.

    Sets the dtype while reading: a later .to(bfloat16) would round the rotary frequencies too.
    """

    def read(folder: Path, dtype: str, **options: Any) -> Any:
        loaded, found = model.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            output_loading_info=True,
            **options,
            **LOCAL,
        )
        check_names(found)
        return loaded

    return read


def check_names(found: Mapping[str, Any]) -> None:
    """Refuses weights that leave a tensor of the model random, or that the model has no place for.

    A tied head is not missing, and transformers names no buffer that older versions stored.
    """
    unknown = sorted(name for name in found["unexpected_keys"] if not STORED.search(name))
    for names, fault in ((sorted(found["missing_keys"]), "lack"), (unknown, "hold unknown")):
        if names:
            raise ValueError(f"the weights {fault} {format_names(names)}")
    if mismatched := found["mismatched_keys"]:
        raise ValueError(f"the shape of {format_names(sorted(map(str, mismatched)))} differs")


def llava(card: ModelCard) -> Family:
    from transformers import LlavaForConditionalGeneration
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from models.families.llava import LlavaAdapter

    return Family(
        architecture="LlavaForConditionalGeneration",
        read=stock(LlavaForConditionalGeneration),
        adapter=LlavaAdapter,
        new_processor=lambda config: CLIPImageProcessorPil(),
        read_processor=partial(CLIPImageProcessorPil.from_pretrained, **LOCAL),
        special_tokens={"image_token_id": "<image>"},
    )


def onevision(card: ModelCard) -> Family:
    from transformers import LlavaOnevisionForConditionalGeneration
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
        LlavaOnevisionImageProcessorPil,
    )

    from models.families.llava_onevision import LlavaOnevisionAdapter

    def new_processor(config: Any) -> Any:
        side = config.vision_config.image_size
        return LlavaOnevisionImageProcessorPil(
            size={"height": side, "width": side}, image_grid_pinpoints=config.image_grid_pinpoints
        )

    return Family(
        architecture="LlavaOnevisionForConditionalGeneration",
        read=stock(LlavaOnevisionForConditionalGeneration),
        adapter=partial(LlavaOnevisionAdapter, media=card.media),
        new_processor=new_processor,
        read_processor=partial(LlavaOnevisionImageProcessorPil.from_pretrained, **LOCAL),
        special_tokens=IMAGE_AND_VIDEO,
    )


def llava_video(card: ModelCard) -> Family:
    from models.checkpoints.llava_next import load_original, new_processor
    from models.families.llava_video import LlavaVideoAdapter

    return Family(
        architecture="LlavaQwenForCausalLM",
        read=load_original,
        adapter=partial(LlavaVideoAdapter, media=card.media),
        new_processor=new_processor,
        read_processor=None,
        special_tokens=IMAGE_AND_VIDEO,
    )


def qwen(model: Any, adapter: Any, **pixels: Any) -> Family:
    """The family of a transformers class and its adapter; `pixels` configures a new processor."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    def new_processor(config: Any) -> Any:
        vision = config.vision_config
        return Qwen2VLImageProcessorPil(
            patch_size=vision.patch_size,
            temporal_patch_size=vision.temporal_patch_size,
            merge_size=vision.spatial_merge_size,
            **pixels,
        )

    return Family(
        architecture=model.__name__,
        read=stock(model),
        adapter=adapter,
        new_processor=new_processor,
        read_processor=partial(Qwen2VLImageProcessorPil.from_pretrained, **LOCAL),
        special_tokens=QWEN_TOKENS,
        marker="<|vision_start|><|{}_pad|><|vision_end|>",
    )


def qwen_2_5_vl(card: ModelCard) -> Family:
    from transformers import Qwen2_5_VLForConditionalGeneration

    from models.families.qwen2_5_vl import Qwen25VLAdapter

    sizes = {"shortest_edge": 3_136, "longest_edge": 12_845_056}  # pixels of a picture
    return qwen(Qwen2_5_VLForConditionalGeneration, Qwen25VLAdapter, size=sizes)


def qwen_3_vl(card: ModelCard) -> Family:
    from transformers import Qwen3VLForConditionalGeneration

    from models.families.qwen3_vl import Qwen3VLAdapter

    half = [0.5, 0.5, 0.5]
    sizes = {"shortest_edge": 65_536, "longest_edge": 16_777_216}  # pixels of a picture
    pixels = {"image_mean": half, "image_std": half, "size": sizes}
    return qwen(Qwen3VLForConditionalGeneration, Qwen3VLAdapter, **pixels)


def internvl(card: ModelCard) -> Family:
    from transformers import InternVLForConditionalGeneration
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    from models.families.internvl import InternVLAdapter

    def new_processor(config: Any) -> Any:
        height, width = config.vision_config.image_size
        return GotOcr2ImageProcessorPil(size={"height": height, "width": width})

    return Family(
        architecture=InternVLForConditionalGeneration.__name__,
        read=stock(InternVLForConditionalGeneration),
        adapter=InternVLAdapter,
        new_processor=new_processor,
        read_processor=partial(GotOcr2ImageProcessorPil.from_pretrained, **LOCAL),
        special_tokens={"image_token_id": "<image>", "start": "<img>", "end": "</img>"},
    )


def smolvlm(card: ModelCard) -> Family:
    from transformers import SmolVLMForConditionalGeneration
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    from models.families.smolvlm import AROUND, WHOLE_PICTURE, SmolVLMAdapter

    def new_processor(config: Any) -> Any:
        side = config.vision_config.image_size
        return SmolVLMImageProcessorPil(
            size={"longest_edge": 4 * side}, max_image_size={"longest_edge": side}
        )

    return Family(
        architecture=SmolVLMForConditionalGeneration.__name__,
        read=stock(SmolVLMForConditionalGeneration),
        adapter=SmolVLMAdapter,
        new_processor=new_processor,
        read_processor=partial(SmolVLMImageProcessorPil.from_pretrained, **LOCAL),
        special_tokens={
            "image_token_id": "<image>",
            "around": AROUND,
            "whole_picture": WHOLE_PICTURE,
        },
    )


FAMILIES: dict[str, Callable[[ModelCard], Family]] = {
    "llava": llava,
    "llava-onevision": onevision,
    "llava-video": llava_video,
    "qwen2.5-vl": qwen_2_5_vl,
    "qwen3-vl": qwen_3_vl,
    "internvl": internvl,
    "smolvlm": smolvlm,
}
