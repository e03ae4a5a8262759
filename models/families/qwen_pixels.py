"""Frames as Qwen's towers take them: rows of numbers, one for each patch of two frames.

Stock's video processor needs torchvision. Here frames go through the processor for pictures, which
lays each of them over itself; a patch of two frames is made of what it gives for one and the other.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.image_processing_backends import PilBackend

LONGEST = 200  # times the other side: what stock scales at most


def patches_of(
    frames: np.ndarray, processor: PilBackend, most_pixels: int | None
) -> tuple[Tensor, tuple[int, int, int]]:
    """Patches (P, C·t·p·p) float32 of frames (F, H, W, 3) uint8, and their grid (T, rows, cols).

    A patch lies over t frames; where they do not come out even, the last frame is repeated.

    Args:
        frames: of a picture, one, which is repeated likewise.
        processor: of the checkpoint.
        most_pixels: of a frame after it was scaled; as many as the processor allows, if None.
    """
    check_shape(*frames.shape[1:3])
    least, most = processor.size["shortest_edge"], processor.size["longest_edge"]
    most = min(most, most_pixels or most)
    seen = processor(
        [Image.fromarray(frame) for frame in frames],
        size={"shortest_edge": min(least, most), "longest_edge": most},
        return_tensors="pt",
    )
    deep, side = processor.temporal_patch_size, processor.patch_size
    (_, rows, cols), *_ = seen.image_grid_thw.tolist()
    single = seen.pixel_values.view(len(frames), rows * cols, -1, deep, side**2)[:, :, :, 0]
    missing = single[-1:].expand(-len(frames) % deep, -1, -1, -1)
    paired = torch.cat([single, missing]).unflatten(0, (-1, deep))  # (T, t, rows·cols, C, p·p)
    patches = paired.permute(0, 2, 3, 1, 4)  # (T, rows·cols, C, t, p·p)
    return patches.flatten(0, 1).flatten(1), (len(paired), rows, cols)


def check_shape(height: int, width: int) -> None:
    """Refuse what is too narrow to be scaled to whole patches."""
    if max(height, width) > LONGEST * min(height, width):
        raise ValueError(
            f"The upload is {width} x {height} pixels; this model takes sides that differ by at "
            f"most {LONGEST} times: cut it, or choose another model."
        )
