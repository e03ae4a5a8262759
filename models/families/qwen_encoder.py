"""Qwen's vision tower, block by block: frames of any size, whose patches meet within windows.

Patches come in groups that are merged into one token each behind the last block. T frames of n
patches, N tokens, P = T·n patches; a window has W of a kind, of l patches each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import eager_attention_forward
from transformers.vision_utils import get_vision_position_ids

from models.engine.capture import turned
from models.engine.encoder import VisionEncoder
from models.engine.flops import LayerShape, matmul_flops
from pruning.base import Needs
from pruning.ops.attention import attend


@dataclass(frozen=True, eq=False, repr=False)
class QwenEncoder(VisionEncoder):
    """The stock modules of a vision tower for a picture or a clip of one size.

    Its views are frames. As far as all patches of a frame see each other, one window is a frame.
    """

    grid: tuple[int, int, int]  # (T, rows, cols) of tokens

    ffn_matrices: ClassVar[int]

    @property
    def depth(self) -> int:
        return len(self.tower.blocks)

    @property
    def group(self) -> int:
        """Patches that are merged into one token."""
        return self.tower.spatial_merge_size**2

    @property
    def patch_grid(self) -> Tensor:
        """(1, 3) int64 frames, rows and columns of patches, as stock functions take them."""
        frames, rows, cols = self.grid
        side = self.tower.spatial_merge_size
        return torch.tensor([[frames, rows * side, cols * side]])

    @cached_property
    def order(self) -> Tensor:
        """(N,) int64 the tokens in raster order, as the tower puts them one after another."""
        frames, rows, cols = self.grid
        return torch.arange(frames * rows * cols, device=self.tower.device)

    @cached_property
    def whole_frames(self) -> list[Tensor]:
        """The windows in which all patches of a frame see each other."""
        patches = torch.arange(len(self.order) * self.group, device=self.order.device)
        return [patches.unflatten(0, (self.grid[0], -1))]

    def windows(self, index: int) -> list[Tensor]:
        """(W, l) int64 the patches that see each other in a block, for each size of window."""
        return self.whole_frames

    @cached_property
    def rope(self) -> tuple[Tensor, Tensor]:
        """Cosines and sines (P, 1, d), the same for every head."""
        side = self.tower.spatial_merge_size
        places = get_vision_position_ids(self.patch_grid, side).to(self.order.device)  # (P, 2)
        cos, sin = self.tower.rotary_pos_emb(places, places)
        return self.ordered(cos)[:, None], self.ordered(sin)[:, None]

    def ordered(self, patches: Tensor) -> Tensor:
        """Patches (P, ·), token by token in raster order, as the tower puts them."""
        return patches.unflatten(0, (-1, self.group))[self.order].flatten(0, 1)

    def in_raster(self, tokens: Tensor) -> Tensor:
        """Tokens (N, ·) as the tower puts them, back in raster order."""
        return tokens[self.order.argsort()]

    def embed(self, pixels: Tensor) -> Tensor:
        return self.by_frame(self.ordered(self.tower.patch_embed(pixels)))

    def by_frame(self, patches: Tensor) -> Tensor:
        """(P, ·) -> (T, n, ·)."""
        return patches.unflatten(0, (self.grid[0], -1))

    def layer(self, index: int, hidden: Tensor) -> Tensor:
        block = self.tower.blocks[index]
        hidden = hidden + self.mixed(block.attn, self.windows(index), block.norm1(hidden))
        return hidden + block.mlp(block.norm2(hidden))

    def mixed(self, attention: nn.Module, windows: list[Tensor], normed: Tensor) -> Tensor:
        """Attention's output (T, n, Dv) by the model's own kernel, all windows of a size at once.

        Stock runs it once for every single window.
        """
        kernel = ALL_ATTENTION_FUNCTIONS.get_interface(
            attention.config._attn_implementation, eager_attention_forward
        )
        queries, keys, values = self.heads(attention.qkv(normed)).chunk(3, dim=1)  # (P, H, d) each
        parts = self.rotated(queries), self.rotated(keys), values
        mixed = torch.empty_like(values)
        for rows in windows:
            seen = (part[rows].transpose(1, 2) for part in parts)  # (W, H, l, d) each
            mixed[rows] = kernel(
                attention,
                *seen,
                attention_mask=None,
                scaling=attention.scaling,
                dropout=0.0,
                is_causal=False,
            )[0]
        return attention.proj(mixed.flatten(1)).view_as(normed)

    def heads(self, x: Tensor) -> Tensor:
        """(T, n, H·d) -> (P, H, d)."""
        config = self.tower.config
        return x.flatten(0, 1).unflatten(1, (-1, config.hidden_size // config.num_heads))

    def rotated(self, x: Tensor) -> Tensor:
        """x (P, H, d), turned in float32."""
        return turned(x, *self.rope).to(x.dtype)

    def projected(self, index: int, entered: Tensor, which: int) -> Tensor:
        """Queries (`which` 0) or keys (1) of a block entered by (T, n, Dv), heads concatenated."""
        block = self.tower.blocks[index]
        weight, bias = (part.chunk(3)[which] for part in block.attn.qkv.parameters())
        return linear(block.norm1(entered), weight, bias)

    def keys(self, index: int, entered: Tensor) -> Tensor:
        return self.projected(index, entered, 1)

    def given(
        self, index: int, asking: Tensor, keys: Tensor, head_dim: int | None = None
    ) -> Tensor:
        """What a frame's patches give each of `keys` (T, n, Dv) in a block: (T, n, 1) float32.

        A mean over all patches of the frame: those of other windows give nothing. So a patch that
        its window looks at evenly receives as much in a small window as in a large one.
        """
        asked = [self.rotated(self.heads(x)) for x in (self.projected(index, asking, 0), keys)]
        queries, turned_keys = (x.flatten(1) for x in asked)  # (P, Dv) each
        head_dim = head_dim or asked[0].shape[-1]
        received = keys.new_zeros(len(queries), dtype=torch.float32)  # (P,)
        for rows in self.windows(index):
            sides = (x[rows].split(head_dim, -1) for x in (queries, turned_keys))
            for pair in zip(*sides, strict=True):  # (W, l, d) each: (H, W, l, l) would be too much
                received[rows] += attend(*pair, head_dim**-0.5).sum(dim=1)
        heads, patches = keys.shape[-1] // head_dim, keys.shape[1]
        return (received / (heads * patches)).view(*keys.shape[:2], 1)

    def flops(self, needs: Needs, views: int = 1) -> int:
        """Of the patch embedding and the blocks that run, over the picture or clip."""
        config, patches = self.tower.config, len(self.order) * self.group
        pixels = config.in_channels * config.temporal_patch_size * config.patch_size**2
        heads, width = config.num_heads, config.hidden_size
        shape = LayerShape(
            width, heads, heads, width // heads, config.intermediate_size, self.ffn_matrices
        )
        blocks = sum(
            len(rows) * shape.flops(rows.shape[1])
            for index in range(self.deepest(needs))
            for rows in self.windows(index)
        )
        return matmul_flops(patches, pixels, width) + blocks
