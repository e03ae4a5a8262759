"""How a card becomes a model that is ready to run. What is heavy is imported inside."""

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

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from models.engine.base import Adapter

UNREADABLE = OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError
OWN = {"local_files_only": True, "trust_remote_code": False}
QWEN_SIGNS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
IMAGE_AND_VIDEO = {"image_token_id": "<image>", "video_token_id": "<video>"}


@dataclass(frozen=True)
class Family:
    """What the models of one adapter are made of.

    The Pillow processors are named outright: they give the same numbers on every machine.
    """

    architecture: str  # that a checkpoint's config names
    read: Callable[[Path, str], Any]  # the model of a folder, in a dtype
    adapter: Callable[..., Adapter]  # of model, tokenizer and processor
    new_processor: Callable[[Any], Any]  # for a config, where no folder brings one
    read_processor: Callable[[Path], Any] | None  # of a folder; None: it brings none
    signs: dict[str, str]  # ids of the config, and what they stand for where weights are random
    marker: str = "<{}>"  # what stands for an upload in the text, by its kind


def load(name: str, device: str | None = None, dtype: str | None = None) -> Adapter:
    """The model of a name, ready to run: by default in bfloat16 on CUDA, in float32 without it.

    Raises `ValueError` in one sentence where its weights are not here, are not whole, or do not
    fit in the memory that is free; nothing is downloaded.
    """
    return make(find(name), device, dtype)


def make(card: ModelCard, device: str | None = None, dtype: str | None = None) -> Adapter:
    """The model of a card, likewise."""
    device, dtype, family, found = check(card, device, dtype)
    with TURNS.load():
        if found is None:
            parts = without_weights(card, family, device, dtype)
        else:
            parts = from_folder(card, found, family, dtype)
    model, tokenizer, processor = parts
    model = model.to(device).eval().requires_grad_(False)
    made = family.adapter(model, tokenizer, processor, grounding=FORMATS[card.grounding])
    if not card.guide:
        return made
    from models.engine.base import Guide

    guide = find(card.guide + RANDOM if card.random else card.guide)
    asked = cache(partial(make, guide, device, dtype))  # loaded when asked
    return replace(made, guide=Guide(guide.title, asked))


def check(
    card: ModelCard, device: str | None = None, dtype: str | None = None
) -> tuple[str, str, Family, Path | None]:
    """Refuse in a sentence, before anything is loaded, what cannot be; where all else will be."""
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _check_device(device)
    dtype = dtype or ("float32" if torch.device(device).type == "cpu" else "bfloat16")
    if dtype not in memory.UNITS:
        raise ValueError(f"The dtype is {dtype!r}, wanted one of {', '.join(memory.UNITS)}.")
    family = FAMILIES[card.family](card)
    found = None if card.random else weights.folder(card)
    if found is not None:
        weights.check_whole(card, found, family.architecture)
    memory.check(card, config_of(card), device, dtype)
    return device, dtype, family, found


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch's own words for no such name, and no such device
        raise ValueError(
            f"There is no device {device!r} here; leave TOKENSCOPE_DEVICE empty, or set it to cpu."
        ) from None


def config_of(card: ModelCard) -> Any:
    """The config of a model: its own if it ships with the project, else that of its shape."""
    if not card.revision:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(weights.folder(card), local_files_only=True)
    from models.shapes import SHAPES

    return SHAPES[card.name.removesuffix(RANDOM)]()


def without_weights(card: ModelCard, family: Family, device: str, dtype: str) -> tuple:
    config = config_of(card)
    model, tokenizer = random_weights.build(config, family.signs, family.marker, device, dtype)
    return model, tokenizer, family.new_processor(config)


def from_folder(card: ModelCard, found: Path, family: Family, dtype: str) -> tuple:
    """Model, tokenizer and processor of a checkpoint; of its files no code is run."""
    from models.families.chat import load_tokenizer

    try:
        tokenizer = load_tokenizer(found)
        model = family.read(found, dtype)
        read, new = family.read_processor, family.new_processor
        processor = read(found) if read else new(model.config)
    except UNREADABLE as error:
        log.exception("%s cannot be read", card.name)
        reason, *_ = f"{error}".strip().replace(f"{found}", card.source).splitlines() or ["empty"]
        raise ValueError(
            f"{card.title} cannot be read ({reason[:120]}); {weights.again(card)}."
        ) from None
    model.name_or_path = f"{found}"  # of whatever layout: a record names its commit
    return model, tokenizer, processor


def stock(model: Any) -> Callable[[Path, str], Any]:
    """How a class of transformers reads a folder: from safetensors only.

    The dtype is set on reading: a later .to(bfloat16) would round the rotary frequencies too.
    """

    def read(found: Path, dtype: str) -> Any:
        return model.from_pretrained(
            found, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, **OWN
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
        read_processor=partial(CLIPImageProcessorPil.from_pretrained, **OWN),
        signs={"image_token_id": "<image>"},
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
        read_processor=partial(LlavaOnevisionImageProcessorPil.from_pretrained, **OWN),
        signs=IMAGE_AND_VIDEO,
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
        signs=IMAGE_AND_VIDEO,
    )


def qwen(model: Any, adapter: Any, **pixels: Any) -> Family:
    """Of a class of transformers and its adapter; `pixels` are settings of a new processor."""
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
        read_processor=partial(Qwen2VLImageProcessorPil.from_pretrained, **OWN),
        signs=QWEN_SIGNS,
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
