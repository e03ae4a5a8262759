"""What a method sees: visual tokens before the LLM, and one LLM layer's view of them.

Letters: N original visual tokens, K survivors, V visual rows now alive, Q query rows, T frames,
D width, H heads, j hidden states or layers asked for.
There is no batch axis anywhere in this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """Where each original token lies on the picture: the only geometry renderers know.

    `box` is xyxy as fractions of the frame. It reaches beyond 0..1 where the model saw padding,
    and is NaN for a token with no place ([CLS]), which is drawn as a badge and never as a cell.
    """

    frame: np.ndarray  # (N,) int32, index into the media's frames
    box: np.ndarray  # (N, 4) float32
    grid: tuple[int, int, int] | None = None  # (T, rows, cols) of the placed tokens when regular

    def __post_init__(self) -> None:
        if self.box.shape != (len(self.frame), 4):
            raise ValueError(f"box is {self.box.shape}, wanted ({len(self.frame)}, 4)")
        if self.grid is not None and int(np.prod(self.grid)) != int(self.placed.sum()):
            raise ValueError(f"grid {self.grid} does not hold {self.num_placed} placed tokens")

    @classmethod
    def regular(
        cls,
        frames: int,
        rows: int,
        cols: int,
        region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
        placeless: int = 0,
    ) -> TokenLayout:
        """A raster of `rows` × `cols` cells over `region` of every frame, after `placeless`."""
        left, top, right, bottom = region
        x = np.linspace(left, right, cols + 1, dtype=np.float32)
        y = np.linspace(top, bottom, rows + 1, dtype=np.float32)
        row, col = (index.ravel() for index in np.indices((rows, cols)))
        cells = np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1)  # (rows·cols, 4)
        nowhere = np.full((placeless, 4), np.nan, dtype=np.float32)
        return cls(
            frame=np.concatenate(
                [np.zeros(placeless), np.repeat(np.arange(frames), rows * cols)]
            ).astype(np.int32),
            box=np.concatenate([nowhere, np.tile(cells, (frames, 1))]),
            grid=(frames, rows, cols),
        )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def placed(self) -> np.ndarray:
        """(N,) bool: the tokens that lie somewhere on a frame."""
        placed: np.ndarray = ~np.isnan(self.box[:, 0])
        return placed

    @property
    def num_placed(self) -> int:
        """What a retention ratio divides by: [CLS] is not a token of the picture."""
        return int(self.placed.sum())


@dataclass(frozen=True, eq=False)
class VisualTokens:
    """What `compress` sees. Fields after `layout` are None unless the method's `Needs` has them."""

    features: Tensor  # (N, D) at the method's seam
    layout: TokenLayout
    attention: Tensor | None = None  # (N,) float32: from [CLS], else the column mean; head mean
    keys: Tensor | None = None  # (N, Dk) raw keys of the same encoder layer, heads concatenated
    key_heads: int = 1  # into how many heads Dk splits
    last_attention: Tensor | None = None  # (N,) as above, of the last encoder layer as one head
    last_keys: Tensor | None = None  # (N, Dk) raw keys of that layer
    received: Tensor | None = None  # (j, N) float32: from every token, head mean, layer by layer
    hidden: Tensor | None = None  # (j, N, Dv) encoder hidden states of the span asked for
    frames: Tensor | None = None  # (T, Df) one pooled vector a frame
    text: Tensor | None = None  # (Q, D) LLM input embeddings of the text after the picture

    def __len__(self) -> int:
        return self.features.shape[0]


@dataclass(frozen=True, eq=False)
class LayerView:
    """What `prune` sees just before LLM layer `layer`; likewise only what was declared.

    Attention, queries, keys and values are of the layer before, as it ran; `ahead` is what this
    layer would give. Either way softmax has run over all keys, those of the text too.
    """

    layer: int
    stage: int  # 0 for the method's first pruning layer, 1 for its second, …
    anchors: Tensor  # (V,) int64 original token behind each row, −1 = none
    layout: TokenLayout
    hidden: Tensor | None = None  # (V, D) entering this layer
    text: Tensor | None = None  # (Q, D) likewise, of the text after the picture
    inputs: Tensor | None = None  # (K, D) the visual rows as they entered the LLM, nothing pruned
    text_inputs: Tensor | None = None  # (Q, D) likewise, of the text after the picture
    attention: Tensor | None = None  # (H, Q, V) float32, over the visual keys
    ahead: Tensor | None = None  # (H, Q, V) float32, over the visual keys
    queries: Tensor | None = None  # (H, Q, d)
    keys: Tensor | None = None  # (Hkv, V, d)
    values: Tensor | None = None  # (Hkv, V, d)
    text_values: Tensor | None = None  # (Hkv, Q, d) of the text after the picture
    context_values: Tensor | None = None  # (Hkv, C, d) of all other rows
    rotary: Tensor | None = None  # (2, V, d) cosines and sines that the rows' ids turn by
    query_rotary: Tensor | None = None  # (2, Q, d) likewise, of the rows of `queries`
    guidance: Tensor | None = None  # (V,) float32: attention that a guide gave, 0 = without a place

    def __len__(self) -> int:
        return self.anchors.shape[0]
