"""Qwen2.5-VL: window attention in most encoder blocks, and time ids in proportion to seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers.vision_utils import get_vision_window_index

from models.engine.base import Prompt
from models.families.qwen_base import QwenBase
from models.families.qwen_encoder import QwenEncoder
from models.grounding import FORMATS, Format
from models.uploads.media import Media
from pruning.errors import ExplainedError


@dataclass(frozen=True, eq=False, repr=False)
class WindowedEncoder(QwenEncoder):
    """The stock modules of `Qwen2_5_VisionTransformerPretrainedModel`.

    Orders tokens by frame and window; windows at the right and lower border may be smaller.
    """

    ffn_matrices: ClassVar[int] = 3

    @cached_property
    def stock_windows(self) -> tuple[Tensor, Tensor]:
        """The tokens (N,) in window order, and the bounds (windows + 1,) of windows in patches."""
        tower = self.tower
        order, starts = get_vision_window_index(
            self.patch_grid, tower.spatial_merge_size, tower.window_size, tower.patch_size
        )
        return order.to(tower.device), starts

    @cached_property
    def order(self) -> Tensor:
        return self.stock_windows[0]

    @cached_property
    def small_windows(self) -> list[Tensor]:
        _, starts = self.stock_windows
        lengths = starts.diff()  # (all windows,)
        return [
            (starts[:-1][lengths == length, None] + torch.arange(length)).to(self.order.device)
            for length in lengths.unique().tolist()
        ]

    def windows(self, index: int) -> list[Tensor]:
        is_full = index in self.tower.fullatt_block_indexes
        return self.whole_frames if is_full else self.small_windows


@dataclass(frozen=True, eq=False, repr=False)
class Qwen25VLAdapter(QwenBase):
    """Runs the stock modules of `Qwen2_5_VLForConditionalGeneration` one by one."""

    media: ClassVar[frozenset[str]] = frozenset({"image", "video"})

    grounding: Format = FORMATS["pixels"]

    def __post_init__(self) -> None:
        config = self.model.config.vision_config
        if config.depth - 1 not in config.fullatt_block_indexes:
            raise ExplainedError(
                f"The last of this Qwen2.5-VL's {config.depth} encoder blocks has window "
                f"attention; it must be one of those with full attention, "
                f"{config.fullatt_block_indexes}."
            )

    def encoder_of(self, prompt: Prompt) -> WindowedEncoder:
        return WindowedEncoder(self.model.model.visual, -1, prompt.layout.grid)

    def times(self, media: Media, frames: int) -> tuple[int, ...]:
        config = self.model.config.vision_config
        interval = np.diff(media.times).mean() if len(media.times) > 1 else 0.0  # seconds
        step = config.tokens_per_second * config.temporal_patch_size * interval
        tolerance = 1e-6  # rounding may put the mean just below a whole number
        return tuple((np.arange(frames) * step + tolerance).astype(int).tolist())
