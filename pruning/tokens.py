"""The inputs of a method: visual tokens before the LLM, and an LLM layer's view of them.

Shapes: N original visual tokens, K survivors, V visual rows alive, Q query rows, T frames, D width,
H heads, j hidden states or layers. This package has no batch axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """The place of each original token on the picture; renderers use no other geometry.

    `box` is xyxy as fractions of the frame. It exceeds 0..1 where the model pads the picture. It is
    NaN for a placeless token ([CLS]), which is drawn as a badge and not as a cell.
    """

    frame: np.ndarray  # (N,) int32, index into the media's frames
    box: np.ndarray  # (N, 4) float32
    grid: tuple[int, int, int] | None = None  # (T, rows, cols) of the placed tokens, if regular
    view: np.ndarray | None = (
        None  # (N,) int64: 0 = the whole picture, 1… = its crops; None: no crops
    )

    def __post_init__(self) -> None:
        if self.box.shape != (len(self.frame), 4):
            raise ValueError(f"box is {self.box.shape}, wanted ({len(self.frame)}, 4)")
        if self.grid is not None and int(np.prod(self.grid)) != int(self.placed.sum()):
            raise ValueError(f"grid {self.grid} does not hold {self.num_placed} placed tokens")
        if self.view is not None and self.view.shape != self.frame.shape:
            raise ValueError(f"view is {self.view.shape}, wanted ({len(self.frame)},)")

    @classmethod
    def regular(
        cls,
        frames: int,
        rows: int,
        cols: int,
        region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
        placeless: int = 0,
    ) -> TokenLayout:
        """`placeless` tokens, then `rows` × `cols` cells over `region` of every frame."""
        left, top, right, bottom = region
        x = np.linspace(left, right, cols + 1, dtype=np.float32)
        y = np.linspace(top, bottom, rows + 1, dtype=np.float32)
        row, col = (index.ravel() for index in np.indices((rows, cols)))
        cells = np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1)  # (rows·cols, 4)
        no_box = np.full((placeless, 4), np.nan, dtype=np.float32)
        return cls(
            frame=np.concatenate(
                [np.zeros(placeless), np.repeat(np.arange(frames), rows * cols)]
            ).astype(np.int32),
            box=np.concatenate([no_box, np.tile(cells, (frames, 1))]),
            grid=(frames, rows, cols),
        )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def placed(self) -> np.ndarray:
        """(N,) bool: the tokens that have a place on a frame."""
        placed: np.ndarray = ~np.isnan(self.box[:, 0])
        return placed

    @property
    def num_placed(self) -> int:
        """The divisor of retention ratios: [CLS] is not a token of the picture."""
        return int(self.placed.sum())


@dataclass(frozen=True, eq=False)
class VisualTokens:
    """The input of `compress`. Fields after `layout` are None unless the method needs them."""

    features: Tensor  # (N, D) at the method's seam
    layout: TokenLayout
    attention: Tensor | None = None  # (N,) float32 from [CLS], else received; head mean
    keys: Tensor | None = None  # (N, Dk) keys of the same encoder layer, heads concatenated
    key_heads: int = 1  # heads in Dk
    shallow_attention: Tensor | None = None  # (N,) as above, of a layer at a quarter of the depth
    last_attention: Tensor | None = None  # (N,) as above, last encoder layer as one head
    last_keys: Tensor | None = None  # (N, Dk) keys of that layer
    received: Tensor | None = None  # (j, N) float32 from all tokens, head mean, by layer
    hidden: Tensor | None = None  # (j, N, Dv) encoder hidden states of `Needs.encoder_span`
    frames: Tensor | None = None  # (T, Df) one pooled vector for each frame
    text: Tensor | None = None  # (Q, D) LLM input embeddings of the text after the picture
    gaze: Tensor | None = None  # (G, 3) float32 x, y as fractions of the picture, and seconds
    events: Tensor | None = None  # (N,) float32 change of brightness since the frame before

    def __len__(self) -> int:
        return self.features.shape[0]


@dataclass(frozen=True, eq=False)
class LayerView:
    """The input of `prune` just before LLM layer `layer`; only signals that the method needs.

    Attention, queries, keys and values are those of the layer before; `ahead` is the attention that
    this layer would compute. In both, softmax runs over all keys, also those of the text.
    """

    layer: int
    stage: int  # index of this pruning layer among the method's
    anchors: Tensor  # (V,) int64 original token of each row, −1 = placeless
    layout: TokenLayout
    hidden: Tensor | None = None  # (V, D) entering this layer
    text: Tensor | None = None  # (Q, D) likewise, of the text after the picture
    previous: Tensor | None = None  # (V, D) the rows of `hidden` entering the layer before
    normed: Tensor | None = None  # (V, D) `hidden` after the LLM's last norm
    text_normed: Tensor | None = None  # (Q, D) `text` after it
    inputs: Tensor | None = None  # (K, D) all visual rows as they entered the LLM
    text_inputs: Tensor | None = None  # (Q, D) likewise, of the text after the picture
    attention: Tensor | None = None  # (H, Q, V) float32, over the visual keys
    ahead: Tensor | None = None  # (H, Q, V) float32, over the visual keys
    queries: Tensor | None = None  # (H, Q, d)
    keys: Tensor | None = None  # (Hkv, V, d)
    text_keys: Tensor | None = None  # (Hkv, Q, d) of the text after the picture
    values: Tensor | None = None  # (Hkv, V, d)
    text_values: Tensor | None = None  # (Hkv, Q, d) of the text after the picture
    context_values: Tensor | None = None  # (Hkv, C, d) of all other rows
    rotary: Tensor | None = None  # (2, V, d) cosines and sines of the rows' rotary angles
    query_rotary: Tensor | None = None  # (2, Q, d) likewise, of the rows of `queries`
    guidance: Tensor | None = None  # (V,) float32 attention of a guide model; placeless: 0

    def __len__(self) -> int:
        return self.anchors.shape[0]


@dataclass(frozen=True, eq=False)
class StepView:
    """The input of `recall` just before LLM layer `layer`, in each decode step.

    Attention is that of the layer before, from the new token; softmax runs over all cached keys.
    """

    layer: int
    anchors: Tensor  # (V,) int64 original token of each cached visual row, −1 = placeless
    layout: TokenLayout
    attention: Tensor  # (H, 1, V) float32
    previous: Tensor | None = None  # (H, 1, V) float32 that of the step before; None in the first

    def __len__(self) -> int:
        return self.anchors.shape[0]
