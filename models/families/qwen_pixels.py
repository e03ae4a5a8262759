"""Converts frames to the input of Qwen's vision towers: one row per patch of two frames.

The video processor of transformers needs torchvision. So each frame goes through the image
processor, which repeats it; a patch of two frames takes one half from each result.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.image_processing_backends import PilBackend

from pruning.errors import UnsupportedError

MAX_ASPECT = 200  # longer side ÷ shorter side: the limit of transformers


def to_patches(
    frames: np.ndarray, processor: PilBackend, max_pixels: int | None
) -> tuple[Tensor, tuple[int, int, int]]:
    """Patches (P, C·t·p·p) float32 of frames (F, H, W, 3) uint8, and their grid (T, rows, cols).

    A patch covers t frames; the last frame is repeated to fill the last patch.

    Args:
        frames: of a clip, or the one frame of a picture.
        processor: of the checkpoint.
        max_pixels: of a resized frame; None = the processor's limit.
    """
    check_shape(*frames.shape[1:3])
    smallest, largest = processor.size["shortest_edge"], processor.size["longest_edge"]
    largest = min(largest, max_pixels or largest)
    inputs = processor(
        [Image.fromarray(frame) for frame in frames],
        size={"shortest_edge": min(smallest, largest), "longest_edge": largest},
        return_tensors="pt",
    )
    depth, side = processor.temporal_patch_size, processor.patch_size
    (_, rows, cols), *_ = inputs.image_grid_thw.tolist()
    single = inputs.pixel_values.view(len(frames), rows * cols, -1, depth, side**2)[:, :, :, 0]
    missing = single[-1:].expand(-len(frames) % depth, -1, -1, -1)
    paired = torch.cat([single, missing]).unflatten(0, (-1, depth))  # (T, t, rows·cols, C, p·p)
    patches = paired.permute(0, 2, 3, 1, 4)  # (T, rows·cols, C, t, p·p)
    return patches.flatten(0, 1).flatten(1), (len(paired), rows, cols)


def resize(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames (F, height, width, 3) uint8 from frames of any size."""
    size = width, height
    smaller = [Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC) for frame in frames]
    return np.stack([np.asarray(picture) for picture in smaller])


def check_shape(height: int, width: int) -> None:
    """Raises `UnsupportedError` for an upload too narrow to be resized to whole patches."""
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UnsupportedError(
            f"The upload is {width} x {height} pixels; for this model, one side may be at most "
            f"{MAX_ASPECT} times the other: crop it, or choose another model."
        )
