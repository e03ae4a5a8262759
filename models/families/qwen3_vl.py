"""Qwen3-VL: adds hidden states of the encoder to the visual rows after the first LLM layers.

In a clip, a time stamp as text comes before the tokens of each frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers.vision_utils import get_vision_interpolation_indices_and_weights

from models.engine.base import Prompt, Sequence
from models.engine.decoder import Decoder
from models.families.qwen_base import QwenBase
from models.families.qwen_encoder import QwenEncoder
from models.grounding import FORMATS, Format
from models.uploads.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True, eq=False)
class DeepTokens(VisualTokens):
    """Visual tokens with the states added inside the LLM, which methods do not see."""

    deepstack: tuple[Tensor, ...] = ()  # (N, D) each, for LLM layers 0, 1, …


@dataclass(frozen=True, eq=False, repr=False)
class DeepEncoder(QwenEncoder):
    """The stock modules of `Qwen3VLVisionModel`: interpolates learned position embeddings."""

    ffn_matrices: ClassVar[int] = 2

    @property
    def deep_states(self) -> tuple[int, ...]:
        return tuple(index + 1 for index in self.tower.deepstack_visual_indexes)

    def embed(self, pixels: Tensor) -> Tensor:
        tower = self.tower
        near, weights = get_vision_interpolation_indices_and_weights(
            self.patch_grid,
            num_grid_per_side=tower.num_grid_per_side,
            mode=tower.interpolation_mode,
            align_corners=tower.interpolation_align_corners,
            spatial_merge_size=tower.spatial_merge_size,
        )  # (P, 4) each
        near, weights = near.to(self.order.device), weights.to(self.order.device)
        places = (tower.pos_embed(near) * weights[..., None]).sum(dim=1)  # (P, Dv)
        patches = super().embed(pixels)
        return patches + self.by_frame(self.to_tower_order(places)).to(patches.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class Qwen3VLAdapter(QwenBase):
    """Runs the stock modules of `Qwen3VLForConditionalGeneration` one by one.

    Each frame of a clip is a picture of its own on the axes; its ids of time are all one.
    """

    max_frame_pixels: int = 768 * 32 * 32

    media: ClassVar[frozenset[str]] = frozenset({"image", "video"})
    encoded: ClassVar[type[VisualTokens]] = DeepTokens

    grounding: Format = FORMATS["thousand"]

    def encoder_of(self, prompt: Prompt) -> DeepEncoder:
        return DeepEncoder(self.model.model.visual, -1, prompt.layout.grid)

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        prompt = super().prepare(media, question, grid)
        return prompt if media.kind == "image" else self.stamped(prompt, media.times)

    def stamped(self, prompt: Prompt, times: np.ndarray) -> Prompt:
        """The prompt of a clip with a time stamp, and marks, around the tokens of each frame.

        The chat template's own marks stay around the whole, as in transformers from 5.10 on.
        """
        config = self.model.config
        start, end = config.vision_start_token_id, config.vision_end_token_id
        depth = config.vision_config.temporal_patch_size
        stamps = [
            torch.tensor([*self.tokenizer(stamp, add_special_tokens=False).input_ids, start])
            for stamp in (f"<{seconds:.1f} seconds>" for seconds in frame_times(times, depth))
        ]
        first, *others = (stamp.to(self.device) for stamp in stamps)
        ending = first.new_tensor([end])
        return replace(
            prompt,
            before=torch.cat([prompt.before, first]),
            between=tuple(torch.cat([ending, stamp]) for stamp in others),
            after=torch.cat([ending, prompt.after]),
        )

    @property
    def decoder(self) -> Decoder:
        return replace(super().decoder, normalises=True)

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        encoder, mergers = self.encoder_of(prompt), self.model.model.visual.deepstack_merger_list
        rest = {name: values for name, values in maps.items() if name != "deepstack"}
        states = maps["deepstack"].flatten(0, 1).chunk(len(mergers), dim=-1)  # (P, Dv) each
        deepstack = tuple(
            encoder.to_raster_order(merger(state.contiguous()))
            for merger, state in zip(mergers, states, strict=True)
        )
        return super().tokens(prompt, needs, rest) | {"deepstack": deepstack}

    def splice(
        self,
        prompt: Prompt,
        visual: DeepTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        spliced = super().splice(prompt, visual, token_map, tokens, strategy)
        return replace(spliced, deepstack=tuple(token_map.apply(each) for each in visual.deepstack))

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Adds one merger per deep state."""
        deep = len(self.encoder_of(prompt).deep_states) * self.merger_flops(prompt)
        return super().flops(prompt, needs, projected, rows_per_layer) + deep


def frame_times(times: np.ndarray, depth: int) -> list[float]:
    """Seconds of each token frame: the mean of the times of its first and its last frame.

    Args:
        times: (F,) seconds of the frames.
        depth: frames of a token; the last frame is repeated to fill the last token.
    """
    filled = [*times.tolist(), *[float(times[-1])] * (-len(times) % depth)]
    return [(filled[i] + filled[i + depth - 1]) / 2 for i in range(0, len(filled), depth)]
