"""LLaVA-Video: LLaVA-OneVision's modules with another clip layout and prompt.

The config chooses how frames are pooled, where newlines stand and whether the prompt states the
frame times; models/checkpoints/llava_next.py validates it. Frames are sampled evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.engine.base import Prompt
from models.families.chat import check_special_tokens
from models.families.llava_onevision import LlavaOnevisionAdapter
from models.uploads.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout

BEFORE = (  # LLaVA-NeXT's conversation template qwen_1_5
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
)
AFTER = "\n{}<|im_end|>\n<|im_start|>assistant\n"
TIMES = (  # as in training, without a space before the last sentence
    "The video lasts for {:.2f} seconds, and {} frames are uniformly sampled from it. "
    "These frames are located at {}."
    "Please answer the following questions related to this video.\n"
)


@dataclass(frozen=True, eq=False, repr=False)
class LlavaVideoAdapter(LlavaOnevisionAdapter):
    """Runs the stock modules of `LlavaOnevisionForConditionalGeneration` for LLaVA-Video."""

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        timed = media.kind == "video" and self.model.config.add_time_instruction
        asked = time_instruction(media) + question if timed else question
        return super().prepare(media, asked, grid)

    def turn(self, question: str, kind: str) -> dict[str, Tensor]:
        """Tokenizes both halves on their own: Qwen2's tokenizer has no placeholder."""
        check_special_tokens(self.tokenizer, question)
        halves = {"before": BEFORE, "after": AFTER.format(question)}
        return {
            half: torch.tensor(
                self.tokenizer(text, add_special_tokens=False).input_ids, device=self.device
            )
            for half, text in halves.items()
        }

    def newlines(self, layout: TokenLayout) -> Tensor:
        """One per row, per frame or per clip, or none."""
        return newlines(self.model.config.mm_newline_position, layout.grid)

    @property
    def stride(self) -> int:
        return self.model.config.mm_spatial_pool_stride

    @property
    def averaged(self) -> bool:
        """Whether pooling averages, and leaves out patches of partial cells."""
        return self.model.config.mm_spatial_pool_mode == "average"

    @property
    def covered(self) -> float:
        side, vision = self.encoder.side, self.model.config.vision_config
        patches = side // self.stride * self.stride if self.averaged else side
        return patches * vision.patch_size / vision.image_size

    def pooled(self, rows: int, cols: int) -> tuple[int, int]:
        if self.averaged:
            return rows // self.stride, cols // self.stride
        return super().pooled(rows, cols)

    def reduce(self, raster: Tensor) -> Tensor:
        if self.averaged:
            return functional.avg_pool2d(raster, self.stride)
        return super().reduce(raster)

    @torch.inference_mode()
    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """Stock `generate`; for a clip from embeddings, since no stock model has this layout."""
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


def time_instruction(media: Media) -> str:
    """The sentences in front of a question that state the clip's length and its frame times."""
    # The length of a clip that was not read from a file is unknown: use the last frame's time.
    lasts = max(media.seconds, float(media.times[-1]))
    seen = ",".join(f"{time:.2f}s" for time in media.times)
    return TIMES.format(lasts, len(media.frames), seen)


def newlines(position: str, grid: tuple[int, int, int]) -> Tensor:
    """Number (R,) of tokens before each newline, for tokens on a `grid` (T, rows, cols)."""
    frames, rows, cols = grid
    count = frames * rows * cols
    if position == "no_token":
        return torch.empty(0, dtype=torch.int64)
    step = {"grid": cols, "frame": rows * cols, "one_token": count}[position]
    return torch.arange(step, count + 1, step)
