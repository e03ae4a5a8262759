"""Write frames as H.264 in mp4, which every browser plays."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import av
import numpy as np


def write_mp4(path: str | Path, frames: Iterable[np.ndarray], rate: int) -> None:
    """Write frames (H, W, 3) uint8, all of one size, at `rate` per second; replaces the file.

    Drops an odd last row or column, because 4:2:0 needs even sides.
    """
    remaining = iter(frames)
    first = next(remaining)
    height, width = (side // 2 * 2 for side in first.shape[:2])
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        stream = file.add_stream("libx264", rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in chain([first], remaining):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[:height, :width]), format="rgb24"
            )
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
