"""Base of the Qwen adapters: merged patches, ids on three axes, boxes in JSON.

A network that is not linear merges groups of patches into tokens, so methods of either seam act
after it. Signals of patches are averaged over a group.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Self

import torch
from torch import Tensor

from models.engine.base import Prompt, Sequence
from models.engine.decoder import Decoder
from models.engine.flops import matmul_flops
from models.families.qwen_encoder import QwenEncoder
from models.families.qwen_pixels import resize, to_patches
from models.families.stock import StockAdapter
from models.uploads.media import Media
from pruning.axes import Extents, place_between
from pruning.base import Needs, PositionStrategy
from pruning.ops.grid import coordinates, grid_of
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class QwenBase(StockAdapter):
    """Runs the stock modules of a Qwen model one by one. The encoder has no [CLS].

    A token of a clip covers two frames; the layout places it on the first of them.
    """

    _: KW_ONLY
    max_pixels: int | None = None  # of a resized picture; None = the processor's limit
    max_frame_pixels: int = 768 * 28 * 28  # of a resized frame; the limit of Qwen's processors

    @property
    def decoder(self) -> Decoder:
        return replace(super().decoder, axes=3)

    @property
    def conditions(self) -> dict[str, str]:
        limit = {"pixels": f"at most {self.max_pixels:,}"} if self.max_pixels else {}
        return super().conditions | limit

    def limited(self, max_pixels: int) -> Self:
        return replace(self, max_pixels=max_pixels or None)

    def encoder_of(self, prompt: Prompt) -> QwenEncoder:
        raise NotImplementedError

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        turn, is_clip = self.turn(question, media.kind), media.kind == "video"
        limit = self.max_frame_pixels if is_clip else self.max_pixels
        config, pictures = self.model.config.vision_config, media.frames
        if grid:
            side = config.patch_size * config.spatial_merge_size
            height, width = grid[1] * side, grid[2] * side
            pictures, limit = resize(pictures, height, width), height * width
        pixels, (frames, rows, cols) = to_patches(pictures, self.processor, limit)
        layout = TokenLayout.regular(
            frames, rows // config.spatial_merge_size, cols // config.spatial_merge_size
        )
        return Prompt(
            **turn,
            pixels=pixels.to(self.device),
            layout=replace(layout, frame=layout.frame * config.temporal_patch_size),
            region=WHOLE,
            kind=media.kind,
            size=(rows * config.patch_size, cols * config.patch_size),
            times=self.times(media, frames),
        )

    def times(self, media: Media, frames: int) -> tuple[int, ...]:
        """Time ids (T,) of the token frames, counted from the first one's."""
        return (0,) * frames

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        encoder = self.encoder_of(prompt)
        merged = {"features": encoder.tower.merger(maps["features"].flatten(0, 1))}
        for name in maps.keys() - merged.keys():
            groups = maps[name].flatten(0, 1).unflatten(0, (-1, encoder.group))
            merged[name] = groups.mean(dim=1)
        return {name: encoder.to_raster_order(values) for name, values in merged.items()}

    def project(self, features: Tensor) -> Tensor:
        """Identity: `encode` returns tokens in LLM space."""
        return features

    def splice(
        self,
        prompt: Prompt,
        visual: VisualTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        texts, run = prompt.texts, runs(prompt, token_map.anchors)
        positions, extents = self.position_ids(prompt, strategy, token_map.anchors)
        behind = torch.tensor([len(text) for text in texts], device=run.device).cumsum(0)
        embedded = [self.decoder.embed(text) for text in texts]
        return Sequence(
            embeds=interleave(embedded, split(tokens, run, len(texts) - 1), dim=0),
            positions=positions,
            visual=behind[run] + torch.arange(len(tokens), device=run.device),
            num_after=len(prompt.after),
            anchors=token_map.anchors,
            layout=visual.layout,
            extents=extents,
        )

    def position_ids(
        self, prompt: Prompt, strategy: PositionStrategy, anchors: Tensor
    ) -> tuple[Tensor, Extents]:
        """Ids (3, S) of the text and, in between, of survivors with `anchors` (K,)."""
        _, rows, cols = grid_of(prompt.layout, "Qwen")
        frame, row, col = coordinates(prompt.layout.grid, anchors.device)
        time = torch.tensor(prompt.times, device=anchors.device)[frame]
        places = torch.stack([time, row, col])[:, anchors.clamp_min(0)]
        places = places.masked_fill(anchors < 0, -1)
        texts = [len(text) for text in prompt.texts]
        parts = split(places.T, runs(prompt, anchors), len(texts) - 1)
        extents = (prompt.times[-1] + 1, rows, cols)
        return place_between(strategy, texts, [part.T for part in parts], extents)

    def stock_pixels(self, prompt: Prompt) -> dict[str, Tensor]:
        """The upload, with the position ids of all rows.

        Without them, transformers starts the text after a clip at the larger of its sides, inside
        the time ids of a long clip. Qwen's own code and this one start it after all ids.
        """
        anchors = torch.arange(len(prompt.layout), device=self.device)
        positions, _ = self.position_ids(prompt, PositionStrategy.PESP, anchors)
        grid = self.encoder_of(prompt).patch_grid.to(self.device)
        pixels = "pixel_values_videos" if prompt.kind == "video" else "pixel_values"
        return {
            pixels: prompt.pixels,
            f"{prompt.kind}_grid_thw": grid,
            "position_ids": positions[:, None],
        }

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Counts the merger over all groups: it runs before compression."""
        encoder = self.encoder_of(prompt).flops(needs)
        return encoder + self.merger_flops(prompt) + self.decoder.flops(rows_per_layer)

    def merger_flops(self, prompt: Prompt) -> int:
        encoder, outer = self.encoder_of(prompt), self.model.config.text_config.hidden_size
        inner, tokens = encoder.group * encoder.tower.config.hidden_size, len(prompt.layout)
        return matmul_flops(tokens, inner, inner) + matmul_flops(tokens, inner, outer)


def runs(prompt: Prompt, anchors: Tensor) -> Tensor:
    """Number (K,) int64 of texts between frames before each survivor, ascending: its frame, or 0.

    A survivor without a place stays behind the one before it.
    """
    if not prompt.between:
        return torch.zeros_like(anchors)
    frames, *_ = prompt.layout.grid or (1,)
    frame = anchors.clamp_min(0) * frames // len(prompt.layout)
    return frame.cummax(0).values


def split(rows: Tensor, run: Tensor, count: int) -> tuple[Tensor, ...]:
    """`rows` (K, ·) of each of `count` runs, which are in order."""
    return rows.split(run.bincount(minlength=count).tolist())


def interleave(texts: list[Tensor], parts: tuple[Tensor, ...], dim: int) -> Tensor:
    """The first text, the first part, the second text, …, the last text."""
    *before, after = texts
    woven = [piece for pair in zip(before, parts, strict=True) for piece in pair]
    return torch.cat([*woven, after], dim=dim)
