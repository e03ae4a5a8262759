"""Token layout of any-resolution pictures: a base view, and crops of an enlargement.

The model joins the crops to one raster, removes the padding, and scales the raster down if it has
too many tokens. So the tokens cover the picture twice: first those of the coarse base view, then
those of the crops. Each row of crop tokens ends in an image_newline.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.llava_onevision.modeling_llava_onevision import (
    get_anyres_image_grid_shape,
    unpad_image,
)

from pruning.tokens import TokenLayout

MAX_EXCESS = 1.1  # ratio of the raster's side to the allowed side; stock scales down above it


def lay_out(config: Any, size: tuple[int, int]) -> tuple[TokenLayout, Tensor]:
    """The layout of a picture's tokens, and the number (R,) of tokens before each newline.

    Args:
        config: of the model.
        size: height and width of the picture. A picture so narrow that no row of patches is free
            of padding has the base view only, and no newline.
    """
    vision = config.vision_config
    side, pixels = vision.image_size // vision.patch_size, vision.image_size
    down, across = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, pixels)  # crops
    rows, cols = unpad_image(torch.empty(1, down * side, across * side), size).shape[1:]
    scale = min(down * pixels / size[0], across * pixels / size[1])
    y, x = (
        edges(count * side, unpadded, length, scale, vision)
        for count, unpadded, length in ((down, rows, size[0]), (across, cols, size[1]))
    )
    max_tokens = int(config.vision_aspect_ratio.removeprefix("anyres_max_")) * side**2
    excess = math.sqrt(rows * cols / max_tokens)
    if excess > MAX_EXCESS:
        y, x = resample(y, int(rows // excess)), resample(x, int(cols // excess))
    row, col = (  # of the crop of each row and column of tokens
        crops_along(count * side, unpadded, side, len(borders) - 1)
        for count, unpadded, borders in ((down, rows, y), (across, cols, x))
    )
    covered = side * vision.patch_size / pixels
    base = TokenLayout.regular(1, side, side, (0.0, 0.0, covered, covered))
    crops, number = cells(x, y), 1 + row[:, None] * across + col
    layout = TokenLayout(
        frame=np.zeros(len(base) + len(crops), dtype=np.int32),
        box=np.concatenate([base.box, crops]),
        view=np.concatenate([np.zeros(len(base), dtype=np.int64), number.ravel()]),
    )
    return layout, len(base) + (len(x) - 1) * (1 + torch.arange(len(y) - 1))


def edges(total: int, unpadded: int, length: int, scale: float, vision: Any) -> np.ndarray:
    """Borders (unpadded + 1,) of the middle patches of `total`, as fractions of the picture.

    Args:
        total: patches of all crops along this side.
        unpadded: patches without the padding.
        length: of the picture's side, in pixels.
        scale: of the enlargement.
        vision: the encoder's config. If patches do not fill a crop, the last one includes the gap.
    """
    side, pixels = vision.image_size // vision.patch_size, vision.image_size
    patch = (total - unpadded) // 2 + np.arange(unpadded + 1)
    border = patch // side * pixels + patch % side * vision.patch_size
    enlarged = min(math.ceil(length * scale), total // side * pixels)  # the rest is padding
    return (border - (total // side * pixels - enlarged) // 2) / enlarged


def crops_along(total: int, unpadded: int, side: int, count: int) -> np.ndarray:
    """Crop (count,) int64 along one side of each of `count` tokens that cover the `unpadded`.

    Args:
        total: patches of all crops along this side.
        unpadded: patches without the padding, in the middle.
        side: patches of a crop.
        count: of the tokens, at most `unpadded`.
    """
    middle = (total - unpadded) // 2 + (np.arange(count) + 0.5) * unpadded / count
    return (middle // side).astype(np.int64)


def resample(borders: np.ndarray, count: int) -> np.ndarray:
    """Borders (count + 1,) of `count` equal parts."""
    index = np.arange(len(borders))
    return np.interp(np.linspace(0, index[-1], count + 1), index, borders)


def cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Boxes (rows · cols, 4) float32 between the borders, in raster order."""
    row, col = (index.ravel() for index in np.indices((len(y) - 1, len(x) - 1)))
    return np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1).astype(np.float32)
