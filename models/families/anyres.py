"""Any resolution: a picture as one base view and, finer, as crops of its enlargement.

The crops are joined to one raster, cut back to the picture, and scaled down where there are too
many. So the picture is covered twice: its first tokens are the base view's, coarse, over all of it;
the crops' follow and lie over the same ground. Each of their rows ends in an image_newline.
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

MUCH_TOO_MANY = 1.1  # times the side that the most crops allowed would have


def lay_out(config: Any, size: tuple[int, int]) -> tuple[TokenLayout, Tensor]:
    """Where the tokens of a picture lie, and how many (R,) stand before each newline.

    Args:
        config: of the model.
        size: height and width of the picture. Where one is so much longer than the other that no
            row of patches is all picture, there is the base view only, and no newline.
    """
    vision = config.vision_config
    side, pixels = vision.image_size // vision.patch_size, vision.image_size
    down, across = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, pixels)  # crops
    rows, cols = unpad_image(torch.empty(1, down * side, across * side), size).shape[1:]
    scale = min(down * pixels / size[0], across * pixels / size[1])
    y, x = (
        edges(count * side, kept, length, scale, vision)
        for count, kept, length in ((down, rows, size[0]), (across, cols, size[1]))
    )
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_")) * side**2
    excess = math.sqrt(rows * cols / most)
    if excess > MUCH_TOO_MANY:
        y, x = coarser(y, int(rows // excess)), coarser(x, int(cols // excess))
    seen = side * vision.patch_size / pixels
    base = TokenLayout.regular(1, side, side, (0.0, 0.0, seen, seen))
    crops = cells(x, y)
    layout = TokenLayout(
        frame=np.zeros(len(base) + len(crops), dtype=np.int32),
        box=np.concatenate([base.box, crops]),
    )
    return layout, len(base) + (len(x) - 1) * (1 + torch.arange(len(y) - 1))


def edges(total: int, kept: int, length: int, scale: float, vision: Any) -> np.ndarray:
    """(kept + 1,) borders of the middle `kept` of `total` patches, as fractions of the picture.

    Args:
        total: patches of all crops along this side.
        kept: those left once padding is cut off.
        length: of the picture's side, in pixels.
        scale: of the enlargement.
        vision: the encoder's config. Where patches do not fill a crop, the gap is its last one's.
    """
    side, pixels = vision.image_size // vision.patch_size, vision.image_size
    patch = (total - kept) // 2 + np.arange(kept + 1)
    border = patch // side * pixels + patch % side * vision.patch_size
    drawn = min(math.ceil(length * scale), total // side * pixels)  # the rest is padding
    return (border - (total // side * pixels - drawn) // 2) / drawn


def coarser(borders: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,) borders of as many equal parts."""
    index = np.arange(len(borders))
    return np.interp(np.linspace(0, index[-1], count + 1), index, borders)


def cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(rows · cols, 4) float32 boxes between the borders, in raster order."""
    row, col = (index.ravel() for index in np.indices((len(y) - 1, len(x) - 1)))
    return np.stack([x[col], y[row], x[col + 1], y[row + 1]], axis=1).astype(np.float32)
