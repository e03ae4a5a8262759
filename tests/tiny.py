"""Tiny models with random weights, on which the engine's laws run in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SiglipVisionConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from models.checkpoints.random_weights import byte_tokenizer
from models.engine.base import Adapter
from models.engine.pipeline import Lane
from models.families.llava import LlavaAdapter
from models.families.llava_onevision import LlavaOnevisionAdapter
from models.families.llava_video import LlavaVideoAdapter
from models.families.qwen2_5_vl import Qwen25VLAdapter
from models.families.qwen3_vl import Qwen3VLAdapter
from models.uploads.media import Media, drawn
from pruning.base import CompressionMethod
from tests.cases import CASES, GAZE, ONE_EACH, Case

QWEN_SIGNS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
QWEN_MARKER = "<|vision_start|><|{}_pad|><|vision_end|>"
QWEN_PIXELS = Qwen2VLImageProcessorPil(patch_size=8, min_pixels=1024, max_pixels=16384)


@lru_cache
def tiny_tokenizer(
    signs: tuple[str, ...] = ("<image>", "<video>"), marker: str = "<{}>"
) -> PreTrainedTokenizerFast:
    """One token per byte, so that a character may take several."""
    return byte_tokenizer(signs, marker)


def text_config(kv_heads: int, llm: type = LlamaConfig) -> LlamaConfig | Qwen2Config:
    tokenizer = tiny_tokenizer()
    return llm(  # 8 layers
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
    )


def randomised(model: PreTrainedModel) -> PreTrainedModel:
    """Sets large random weights, so that attention is not near uniform and text does not repeat."""
    for module in model.modules():
        for weight in module.parameters(recurse=False):
            if weight.dim() > 1:
                scale = 1 if isinstance(module, torch.nn.Embedding) else weight.shape[-1] ** -0.5
                weight.data.copy_(torch.randn(weight.shape) * scale)
    return model.eval().requires_grad_(False)


def build(
    model: type, config: PreTrainedConfig, dtype: torch.dtype, kernel: str, seed: int = 2
) -> PreTrainedModel:
    torch.manual_seed(seed)
    with torch.inference_mode(False):  # tests that share a model differentiate it
        return randomised(model._from_config(config, dtype=dtype, attn_implementation=kernel))


def llava(
    width: int,
    layers: int,
    heads: int,
    side: int,
    text: LlamaConfig,
    dtype: torch.dtype = torch.float32,
    kernel: str = "sdpa",
    seed: int = 2,
) -> LlavaAdapter:
    """For squares of `side` pixels in patches of 8."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            image_size=side,
            patch_size=8,
        ),
        text_config=text,
        image_token_id=tiny_tokenizer().convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = build(LlavaForConditionalGeneration, config, dtype, kernel, seed)
    square = {"height": side, "width": side}
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square)
    return LlavaAdapter(model, tiny_tokenizer(), processor)


@lru_cache
def tiny_llava(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> LlavaAdapter:
    """6 x 6 = 36 visual tokens, an encoder of 6 layers."""
    return llava(48, 6, 4, 48, text_config(kv_heads), dtype, kernel)


@lru_cache
def tiny_onevision(
    dtype: torch.dtype = torch.float32,
    kv_heads: int = 2,
    kernel: str = "sdpa",
    llm: type = LlamaConfig,
    most_crops: int = 9,
) -> LlavaOnevisionAdapter:
    """Views of 5 x 5 patches, an odd number that does not fill them; frames of 3 x 3 tokens."""
    tokenizer, side = tiny_tokenizer(), 43
    pinpoints = [[side * down, side * across] for down in (1, 2) for across in (1, 2)]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=side,
            patch_size=8,
            vision_use_head=False,
        ),
        text_config=text_config(kv_heads, llm),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio=f"anyres_max_{most_crops}",
    )
    model = build(LlavaOnevisionForConditionalGeneration, config, dtype, kernel)
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
    )
    return LlavaOnevisionAdapter(model, tokenizer, processor)


@lru_cache
def tiny_llava_video(
    dtype: torch.dtype = torch.float32,
    kv_heads: int = 2,
    kernel: str = "sdpa",
    pool: str = "average",
    newlines: str = "grid",
    times: bool = False,
) -> LlavaVideoAdapter:
    """Views of 5 x 5 patches; frames of 2 x 2 tokens where pooling averages, else of 3 x 3."""
    like = tiny_onevision(dtype, kv_heads, kernel, Qwen2Config)
    clips = {"mm_spatial_pool_mode": pool, "mm_spatial_pool_stride": 2}
    prompt = {"mm_newline_position": newlines, "add_time_instruction": times}
    config = LlavaOnevisionConfig.from_dict({**like.model.config.to_dict(), **clips, **prompt})
    model = build(LlavaOnevisionForConditionalGeneration, config, dtype, kernel)
    return LlavaVideoAdapter(model, like.tokenizer, like.processor)


def qwen_config(config: type, kv_heads: int, vision: dict[str, Any], rotary: dict[str, Any]) -> Any:
    """A Qwen of 8 layers behind an encoder of 4, with tokens of 16 x 16 pixels."""
    tokenizer = tiny_tokenizer(QWEN_SIGNS, QWEN_MARKER)
    image, video, start, end = map(tokenizer.convert_tokens_to_ids, QWEN_SIGNS)
    return config(
        vision_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "depth": 4,
            "num_heads": 4,
            "patch_size": 8,
            "out_hidden_size": 64,
            **vision,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 8,
            "num_attention_heads": 4,
            "num_key_value_heads": kv_heads,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", **rotary},
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )


@lru_cache
def tiny_qwen2_5_vl(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> Qwen25VLAdapter:
    """Windows of 2 x 2 tokens; every other block sees whole frames."""
    vision = {"window_size": 32, "fullatt_block_indexes": [1, 3], "tokens_per_second": 4}
    config = qwen_config(Qwen2_5_VLConfig, kv_heads, vision, {"mrope_section": [2, 3, 3]})
    model = build(Qwen2_5_VLForConditionalGeneration, config, dtype, kernel)
    return Qwen25VLAdapter(model, tiny_tokenizer(QWEN_SIGNS, QWEN_MARKER), QWEN_PIXELS)


@lru_cache
def tiny_qwen3_vl(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> Qwen3VLAdapter:
    """Two deep states for the first two layers of the LLM, and 5 x 5 learned places."""
    vision = {"deepstack_visual_indexes": [0, 2], "num_position_embeddings": 25}
    rotary = {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
    config = qwen_config(Qwen3VLConfig, kv_heads, vision, rotary)
    model = build(Qwen3VLForConditionalGeneration, config, dtype, kernel)
    return Qwen3VLAdapter(model, tiny_tokenizer(QWEN_SIGNS, QWEN_MARKER), QWEN_PIXELS)


def picture(height: int = 60, width: int = 90, seed: int = 0) -> Media:
    """Noise over a brightness gradient, by default wider than high."""
    noise = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    slope = np.linspace(0, 127, width)[:, None]
    return drawn((noise + slope).astype(np.uint8))


def clip(frames: int = 8, height: int = 45, width: int = 60, seed: int = 0) -> Media:
    """A bright square moves over still noise; halfway, a cut to other noise."""
    noise = np.random.default_rng(seed).integers(0, 128, (2, height, width, 3))
    shots = noise[np.arange(frames) * 2 // frames].astype(np.uint8)  # (T, H, W, 3)
    for frame, left in enumerate(np.linspace(0, width - 15, frames).astype(int)):
        shots[frame, 10:25, left : left + 15] = 255
    return Media(shots, np.arange(frames) / 4, "video", "none", read_seconds=0.0)


@dataclass(frozen=True)
class Setting:
    """A tiny model, and an upload for it."""

    id: str
    model: Callable[..., Adapter]
    upload: Callable[[], Media]
    family: str  # of the model, as in its card
    has_grid: bool = True  # the tokens lie on a regular grid
    cases: tuple[Case, ...] = CASES

    @property
    def on_one_axis(self) -> bool:
        """Whether a row has one position id, not one each for time, row and column."""
        return "qwen" not in self.family

    def runs(self, method: CompressionMethod) -> bool:
        """Whether the method takes such an upload."""
        return self.upload().kind in method.media and (self.has_grid or not method.needs_grid)


SETTINGS = (
    Setting("llava", tiny_llava, picture, family="llava"),
    Setting("crops", tiny_onevision, picture, family="llava-onevision", has_grid=False),
    Setting("clip", tiny_onevision, clip, family="llava-onevision"),
    Setting("rows", tiny_llava_video, clip, family="llava-video"),
    Setting("qwen2.5-picture", tiny_qwen2_5_vl, picture, family="qwen2.5-vl", cases=ONE_EACH),
    Setting("qwen2.5-clip", tiny_qwen2_5_vl, clip, family="qwen2.5-vl", cases=ONE_EACH),
    Setting("qwen3-picture", tiny_qwen3_vl, picture, family="qwen3-vl", cases=ONE_EACH),
    Setting("qwen3-clip", tiny_qwen3_vl, clip, family="qwen3-vl", cases=ONE_EACH),
)


def prefilled(
    adapter: Adapter,
    method: CompressionMethod,
    media: Media | None = None,
    question: str = "What is this?",
) -> Lane:
    """A lane after prefill, by default about a picture."""
    lane = Lane(adapter, media or picture(), question, method, GAZE)
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        step()
    return lane
