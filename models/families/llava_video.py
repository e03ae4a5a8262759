"""LLaVA-Video: LLaVA-OneVision's modules, with a clip laid out and asked about in its own way.

How frames are pooled, where newlines stand and whether the question tells the time is read from the
config: see models/original_config.py, which checks it. Frames are always sampled evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.engine.base import Prompt
from models.families.chat import check_signs
from models.families.llava_onevision import LlavaOnevisionAdapter
from models.uploads.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout

BEFORE = (  # the conversation that LLaVA-NeXT calls qwen_1_5
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
)
AFTER = "\n{}<|im_end|>\n<|im_start|>assistant\n"
TIMES = (  # as it was trained, without a space before the last sentence
    "The video lasts for {:.2f} seconds, and {} frames are uniformly sampled from it. "
    "These frames are located at {}."
    "Please answer the following questions related to this video.\n"
)


@dataclass(frozen=True, eq=False, repr=False)
class LlavaVideoAdapter(LlavaOnevisionAdapter):
    """Runs the stock modules of `LlavaOnevisionForConditionalGeneration` for LLaVA-Video."""

    def prepare(self, media: Media, question: str) -> Prompt:
        tells = media.kind == "video" and self.model.config.add_time_instruction
        return super().prepare(media, tell_times(media) + question if tells else question)

    def turn(self, question: str, kind: str) -> dict[str, Tensor]:
        """The ids of both halves: the tokenizer, which is Qwen2's, has no placeholder."""
        check_signs(self.tokenizer, question)
        halves = {"before": BEFORE, "after": AFTER.format(question)}
        return {
            half: torch.tensor(
                self.tokenizer(text, add_special_tokens=False).input_ids, device=self.device
            )
            for half, text in halves.items()
        }

    def clip(self, media: Media) -> tuple[Tensor, TokenLayout, Tensor]:
        """Pixels of the frames, their layout, and the newlines: one a row, a frame or a clip."""
        config, pixels, side = self.model.config, self.frames(media), self.encoder.side
        stride, vision = config.mm_spatial_pool_stride, config.vision_config
        averaged = config.mm_spatial_pool_mode == "average"  # drops patches that fill no cell
        cells = side // stride if averaged else -(-side // stride)
        patches = cells * stride if averaged else side
        seen = patches * vision.patch_size / vision.image_size
        layout = TokenLayout.regular(len(pixels), cells, cells, (0.0, 0.0, seen, seen))
        return pixels, layout, newlines(config.mm_newline_position, cells, len(layout))

    def pool(self, maps: Tensor) -> Tensor:
        config, side = self.model.config, self.encoder.side
        stride = config.mm_spatial_pool_stride
        raster = maps.transpose(1, 2).contiguous().unflatten(2, (side, side))  # (T, C, rows, cols)
        if config.mm_spatial_pool_mode == "average":
            pooled = functional.avg_pool2d(raster, stride)
        else:
            pooled = functional.interpolate(raster, [-(-side // stride)] * 2, mode="bilinear")
        return pooled.flatten(2).transpose(1, 2)  # (T, cells², C)

    @torch.inference_mode()
    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """Stock `generate`; of a clip it gets the rows, since no stock model lays one out so."""
        if prompt.kind == "image":
            return super().generate(prompt, max_new_tokens, **options)
        visual = self.encode(prompt, Needs())
        whole = TokenMap.identity(len(visual), self.device)
        sequence = self.splice(prompt, visual, whole, visual.features, PositionStrategy.PESP)
        return self.model.generate(
            inputs_embeds=sequence.embeds[None],
            attention_mask=torch.ones_like(sequence.positions)[None],
            max_new_tokens=max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            **options,
        )


def tell_times(media: Media) -> str:
    """How long the clip lasts and when its frames are seen, in front of a question."""
    # A clip that never was a file tells only when its last frame is seen.
    lasts = max(media.seconds, float(media.times[-1]))
    seen = ",".join(f"{time:.2f}s" for time in media.times)
    return TIMES.format(lasts, len(media.frames), seen)


def newlines(position: str, side: int, count: int) -> Tensor:
    """(R,) how many of `count` tokens, in frames of `side` x `side`, stand before each newline."""
    if position == "no_token":
        return torch.empty(0, dtype=torch.int64)
    step = {"grid": side, "frame": side**2, "one_token": count}[position]
    return torch.arange(step, count + 1, step)
