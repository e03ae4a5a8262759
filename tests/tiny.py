"""Tiny models with random weights, made in memory: the engine's laws run on them in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from models.base import Adapter
from models.llava import LlavaAdapter
from models.llava_onevision import LlavaOnevisionAdapter
from models.llava_video import LlavaVideoAdapter
from models.media import Media, drawn
from models.pipeline import Lane
from pruning.base import CompressionMethod
from pruning.methods.composed import Composed

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "{{ ' ' + part['text'] if part['type'] == 'text' else '<' + part['type'] + '>' }}"
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
        extra_special_tokens=["<image>", "<video>"],
        chat_template=TEMPLATE,
    )


def text_config(kv_heads: int, llm: type = LlamaConfig) -> LlamaConfig | Qwen2Config:
    """An LLM of 8 layers."""
    tokenizer = tiny_tokenizer()
    return llm(
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
    """Weights larger than before training: attention must not be near uniform, nor text repeat."""
    for module in model.modules():
        for weight in module.parameters(recurse=False):
            if weight.dim() > 1:
                scale = 1 if isinstance(module, torch.nn.Embedding) else weight.shape[-1] ** -0.5
                weight.data.copy_(torch.randn(weight.shape) * scale)
    return model.eval().requires_grad_(False)


@lru_cache
def tiny_llava(
    dtype: torch.dtype = torch.float32, kv_heads: int = 2, kernel: str = "sdpa"
) -> LlavaAdapter:
    """6 x 6 = 36 visual tokens, an encoder of 6 layers."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=6,
            num_attention_heads=4,
            image_size=48,
            patch_size=8,
        ),
        text_config=text_config(kv_heads),
        image_token_id=tiny_tokenizer().convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    torch.manual_seed(2)
    model = LlavaForConditionalGeneration._from_config(
        config, dtype=dtype, attn_implementation=kernel
    )
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}
    )
    return LlavaAdapter(randomised(model), tiny_tokenizer(), processor)


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
    torch.manual_seed(2)
    model = LlavaOnevisionForConditionalGeneration._from_config(
        config, dtype=dtype, attn_implementation=kernel
    )
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side}, image_grid_pinpoints=pinpoints
    )
    return LlavaOnevisionAdapter(randomised(model), tokenizer, processor)


def picture(height: int = 60, width: int = 90, seed: int = 0) -> Media:
    """Noise over a slope, wider than high."""
    noise = np.random.default_rng(seed).integers(0, 128, (height, width, 3))
    slope = np.linspace(0, 127, width)[:, None]
    return drawn((noise + slope).astype(np.uint8))


def clip(frames: int = 8, height: int = 45, width: int = 60, seed: int = 0) -> Media:
    """A bright square on its way over noise that stands still; halfway, other noise: a cut."""
    noise = np.random.default_rng(seed).integers(0, 128, (2, height, width, 3))
    shots = noise[np.arange(frames) * 2 // frames].astype(np.uint8)  # (T, H, W, 3)
    for frame, left in enumerate(np.linspace(0, width - 15, frames).astype(int)):
        shots[frame, 10:25, left : left + 15] = 255
    return Media(shots, np.arange(frames) / 4, "video", "none", read_seconds=0.0)


GRIDLESS = {  # methods that need no grid
    *("vanilla", "random", "visionzip", "prumerge", "prumerge-plus", "holov", "fastv"),
    *("sparsevlm", "pyramiddrop", "ivcprune", "sgl"),
}


@dataclass(frozen=True)
class Setting:
    """A tiny model, and an upload for it."""

    id: str
    model: Callable[..., Adapter]
    upload: Callable[[], Media]
    family: str  # of the model, as its card says
    has_grid: bool = True  # on which its tokens lie

    def runs(self, method: CompressionMethod) -> bool:
        parts = method.parts.values() if isinstance(method, Composed) else [method]
        gridless = all(part.name in GRIDLESS for part in parts)
        return self.upload().kind in method.media and (self.has_grid or gridless)


SETTINGS = (
    Setting("llava", tiny_llava, picture, family="llava"),
    Setting("crops", tiny_onevision, picture, family="llava-onevision", has_grid=False),
    Setting("clip", tiny_onevision, clip, family="llava-onevision"),
)


def prefilled(
    adapter: Adapter,
    method: CompressionMethod,
    media: Media | None = None,
    question: str = "What is this?",
) -> Lane:
    """A lane just before decode, about a picture unless another upload comes."""
    lane = Lane(adapter, media or picture(), question, method)
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        step()
    return lane


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
    asked = {"mm_newline_position": newlines, "add_time_instruction": times}
    config = LlavaOnevisionConfig.from_dict({**like.model.config.to_dict(), **clips, **asked})
    torch.manual_seed(2)
    model = LlavaOnevisionForConditionalGeneration._from_config(
        config, dtype=dtype, attn_implementation=kernel
    )
    return LlavaVideoAdapter(randomised(model), like.tokenizer, like.processor)


SETTINGS += (Setting("rows", tiny_llava_video, clip, family="llava-video"),)
