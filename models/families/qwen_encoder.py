"""Qwen's vision tower, run block by block: frames of any size, attention inside windows.

After the last block, each group of patches is merged into one token. T frames of n patches,
N tokens, P = T·n patches, W windows of l patches each.
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

from models.engine.capture import apply_rotary, mean_attention
from models.engine.encoder import VisionEncoder
from models.engine.flops import LayerShape, matmul_flops
from pruning.base import Needs
from pruning.ops.attention import attend

MAX_ATTENTION = 2**28  # bytes: a picture of 12 megapixels has 61,000 patches in one window


@dataclass(frozen=True, eq=False, repr=False)
class QwenEncoder(VisionEncoder):
    """The stock modules of a vision tower for one picture or clip.

    The views are frames. In blocks with full attention, a window is a frame.
    """

    grid: tuple[int, int, int]  # (T, rows, cols) of tokens

    ffn_matrices: ClassVar[int]

    @property
    def depth(self) -> int:
        return len(self.tower.blocks)

    @property
    def group(self) -> int:
        """Patches per token."""
        return self.tower.spatial_merge_size**2

    @property
    def patch_grid(self) -> Tensor:
        """Frames, rows and columns (1, 3) int64 of patches, for functions of transformers."""
        frames, rows, cols = self.grid
        side = self.tower.spatial_merge_size
        return torch.tensor([[frames, rows * side, cols * side]])

    @cached_property
    def order(self) -> Tensor:
        """Raster index (N,) int64 of each token in the tower's order."""
        frames, rows, cols = self.grid
        return torch.arange(frames * rows * cols, device=self.tower.device)

    @cached_property
    def whole_frames(self) -> list[Tensor]:
        """One window per frame."""
        patches = torch.arange(len(self.order) * self.group, device=self.order.device)
        return [patches.unflatten(0, (self.grid[0], -1))]

    def windows(self, index: int) -> list[Tensor]:
        """Patches (W, l) int64 of the windows in a block, one tensor per window size."""
        return self.whole_frames

    @cached_property
    def rope(self) -> tuple[Tensor, Tensor]:
        """Cosines and sines (P, 1, d), the same for every head."""
        side = self.tower.spatial_merge_size
        places = get_vision_position_ids(self.patch_grid, side).to(self.order.device)  # (P, 2)
        cos, sin = self.tower.rotary_pos_emb(places, places)
        return self.to_tower_order(cos)[:, None], self.to_tower_order(sin)[:, None]

    def to_tower_order(self, patches: Tensor) -> Tensor:
        """Reorders patches (P, ·), whose tokens are in raster order, to the tower's order."""
        return patches.unflatten(0, (-1, self.group))[self.order].flatten(0, 1)

    def to_raster_order(self, tokens: Tensor) -> Tensor:
        """Reorders tokens (N, ·) from the tower's order to raster order."""
        return tokens[self.order.argsort()]

    def embed(self, pixels: Tensor) -> Tensor:
        return self.by_frame(self.to_tower_order(self.tower.patch_embed(pixels)))

    def by_frame(self, patches: Tensor) -> Tensor:
        """(P, ·) -> (T, n, ·)."""
        return patches.unflatten(0, (self.grid[0], -1))

    def layer(self, index: int, hidden: Tensor) -> Tensor:
        block = self.tower.blocks[index]
        hidden = hidden + self.attend(block.attn, self.windows(index), block.norm1(hidden))
        return hidden + block.mlp(block.norm2(hidden))

    def attend(self, attention: nn.Module, windows: list[Tensor], normed: Tensor) -> Tensor:
        """Output (T, n, Dv) of an attention module, with one kernel call per window size.

        transformers calls the kernel once per window.
        """
        kernel = ALL_ATTENTION_FUNCTIONS.get_interface(
            attention.config._attn_implementation, eager_attention_forward
        )
        queries, keys, values = self.heads(attention.qkv(normed)).chunk(3, dim=1)  # (P, H, d) each
        parts = self.rotate(queries), self.rotate(keys), values
        output = torch.empty_like(values)
        for rows in windows:
            inputs = (part[rows].transpose(1, 2) for part in parts)  # (W, H, l, d) each
            output[rows] = kernel(
                attention,
                *inputs,
                attention_mask=None,
                scaling=attention.scaling,
                dropout=0.0,
                is_causal=False,
            )[0]
        return attention.proj(output.flatten(1)).view_as(normed)

    def heads(self, x: Tensor) -> Tensor:
        """(T, n, H·d) -> (P, H, d)."""
        config = self.tower.config
        return x.flatten(0, 1).unflatten(1, (-1, config.hidden_size // config.num_heads))

    def rotate(self, x: Tensor) -> Tensor:
        """Rotary embedding of x (P, H, d), in float32."""
        return apply_rotary(x, *self.rope).to(x.dtype)

    def project(self, index: int, hidden: Tensor, part: int) -> Tensor:
        """Queries (`part` 0) or keys (1) of a block with input (T, n, Dv), heads concatenated."""
        block = self.tower.blocks[index]
        weight, bias = (each.chunk(3)[part] for each in block.attn.qkv.parameters())
        return linear(block.norm1(hidden), weight, bias)

    def keys(self, index: int, hidden: Tensor) -> Tensor:
        return self.project(index, hidden, 1)

    def attention(
        self, index: int, rows: Tensor, keys: Tensor, head_dim: int | None = None
    ) -> Tensor:
        """Attention (T, n, 1) float32 of a block from a frame's patches to `keys` (T, n, Dv).

        Averages over all patches of the frame; attention from other windows is 0. So under even
        attention a patch receives as much in a small window as in a large one.
        """
        rotated = [self.rotate(self.heads(x)) for x in (self.project(index, rows, 0), keys)]
        queries, rotated_keys = (x.flatten(1) for x in rotated)  # (P, Dv) each
        head_dim = head_dim or rotated[0].shape[-1]
        received = keys.new_zeros(len(queries), dtype=torch.float32)  # (P,)
        for window in self.windows(index):
            heads = (x[window].split(head_dim, -1) for x in (queries, rotated_keys))
            for queried, keyed in zip(*heads, strict=True):  # (W, l, d) each
                for part in queried.split(rows_at_once(keyed), dim=1):  # (W, at most l, d)
                    received[window] += attend(part, keyed, head_dim**-0.5).sum(dim=1)
        num_heads, patches = keys.shape[-1] // head_dim, keys.shape[1]
        return (received / (num_heads * patches)).view(*keys.shape[:2], 1)

    def among(self, index: int, hidden: Tensor) -> Tensor:
        """Attention (T, n, n) float32 of a block among a frame's patches; 0 between windows."""
        frames, patches = hidden.shape[:2]
        queries, keys = (
            self.rotate(self.heads(self.project(index, hidden, part))) for part in (0, 1)
        )  # (P, H, d) each
        among = hidden.new_zeros(frames, patches, patches, dtype=torch.float32)
        for window in (row for rows in self.windows(index) for row in rows):  # (l,)
            pair = (each[window].transpose(0, 1) for each in (queries, keys))
            frame, place = int(window[0]) // patches, window % patches
            among[frame, place[:, None], place] = mean_attention(*pair, keys.shape[-1] ** -0.5)
        return among

    def flops(self, needs: Needs, views: int = 1) -> int:
        """FLOPs of the patch embedding and the blocks that run, over the picture or clip."""
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


def rows_at_once(keys: Tensor) -> int:
    """Query rows whose attention to `keys` (W, l, d) in float32 stays below `MAX_ATTENTION`."""
    return max(1, MAX_ATTENTION // (4 * keys.shape[0] * keys.shape[1]))
