"""Loads the model of a card. Heavy imports are inside the functions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import memory, weights
from models.catalog import RANDOM, ModelCard, find
from models.checkpoints import random_weights
from models.engine.turns import TURNS
from models.grounding import FORMATS
from models.unlisted import adopt, read_config

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from models.engine.base import Adapter

READ_ERRORS = OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError
LOCAL = {"local_files_only": True, "trust_remote_code": False}
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
    read: Callable[[Path, str], Any]  # (folder, dtype) -> model
    adapter: Callable[..., Adapter]  # (model, tokenizer, processor) -> adapter
    new_processor: Callable[[Any], Any]  # config -> processor, if no folder has one
    read_processor: Callable[[Path], Any] | None  # folder -> processor; None if it has none
    special_tokens: dict[str, str]  # names of ids in the config, and their tokens if random
    marker: str = "<{}>"  # placeholder of an upload in the text; {} is its kind


def load(name: str, device: str | None = None, dtype: str | None = None) -> Adapter:
    """Loads a model by name: by default in bfloat16 on CUDA, in float32 on the CPU.

    Downloads nothing. Raises `ValueError` with one sentence if weights are missing or damaged, or
    if the model does not fit in free memory.
    """
    return load_card(adopt(name), device, dtype)


def load_card(card: ModelCard, device: str | None = None, dtype: str | None = None) -> Adapter:
    """Loads the model of a card; see `load`."""
    device, dtype, family, folder = check(card, device, dtype)
    with TURNS.load():
        if folder is None:
            parts = build_random(card, family, device, dtype)
        else:
            parts = read_checkpoint(card, folder, family, dtype)
    model, tokenizer, processor = parts
    model = model.to(device).eval().requires_grad_(False)
    adapter = family.adapter(model, tokenizer, processor, grounding=FORMATS[card.grounding])
    if not card.guide:
        return adapter
    from models.engine.base import Guide

    guide = find(card.guide + RANDOM if card.random else card.guide)
    load_guide = cache(partial(load_card, guide, device, dtype))  # loads at its first use
    return replace(adapter, guide=Guide(guide.title, load_guide))


def check(
    card: ModelCard, device: str | None = None, dtype: str | None = None
) -> tuple[str, str, Family, Path | None]:
    """Resolves device, dtype, family and folder. Raises `ValueError` if loading would fail."""
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check_device(device)
    dtype = dtype or ("float32" if torch.device(device).type == "cpu" else "bfloat16")
    if dtype not in memory.UNITS:
        raise ValueError(f"The dtype is {dtype!r}; choose one of {', '.join(memory.UNITS)}.")
    family = FAMILIES[card.family](card)
    folder = None if card.random else weights.find_folder(card)
    if folder is not None:
        weights.check_files(card, folder, family.architecture)
    memory.check(card, config_of(card), device, dtype)
    return device, dtype, family, folder


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # an unknown name, or a device that is not available
        raise ValueError(
            f"There is no device {device!r} here; leave TOKENSCOPE_DEVICE empty, or set it to cpu."
        ) from None


def config_of(card: ModelCard) -> Any:
    """The config of a model: of its shape if it is a listed repository, else its own file."""
    if not card.revision or card.adopted:
        return read_config(card.family, weights.find_folder(card))
    from models.shapes import SHAPES

    return SHAPES[card.name.removesuffix(RANDOM)]()


def build_random(card: ModelCard, family: Family, device: str, dtype: str) -> tuple:
    config = config_of(card)
    model, tokenizer = random_weights.build(
        config, family.special_tokens, family.marker, device, dtype
    )
    return model, tokenizer, family.new_processor(config)


def read_checkpoint(card: ModelCard, folder: Path, family: Family, dtype: str) -> tuple:
    """Model, tokenizer and processor of a checkpoint. Runs no code from its files."""
    from models.families.chat import load_tokenizer

    try:
        tokenizer = load_tokenizer(folder)
        model = family.read(folder, dtype)
        read, new = family.read_processor, family.new_processor
        processor = read(folder) if read else new(model.config)
    except READ_ERRORS as error:
        log.exception("%s cannot be read", card.name)
        reason, *_ = f"{error}".strip().replace(f"{folder}", card.source).splitlines() or ["empty"]
        raise ValueError(
            f"{card.title} cannot be read ({reason[:120]}); {weights.repair_advice(card)}."
        ) from None
    model.name_or_path = f"{folder}"  # a record takes the commit from this path
    return model, tokenizer, processor


def stock(model: Any) -> Callable[[Path, str], Any]:
    """A reader of safetensors into a class of transformers.

    Sets the dtype while reading: a later .to(bfloat16) would round the rotary frequencies too.
    """

    def read(folder: Path, dtype: str) -> Any:
        return model.from_pretrained(
            folder, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, **LOCAL
        )

    return read


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


FAMILIES: dict[str, Callable[[ModelCard], Family]] = {
    "llava": llava,
    "llava-onevision": onevision,
    "llava-video": llava_video,
    "qwen2.5-vl": qwen_2_5_vl,
    "qwen3-vl": qwen_3_vl,
}
