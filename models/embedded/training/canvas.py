"""At which sizes pictures are shown while a model learns, as real models see many resolutions.

All pictures of a batch share a canvas of rows × cols cells, drawn anew for each step. Early
canvases are small, so early steps are quick; later ones reach the native size, which a share of
the steps has exactly. A batch holds as many pictures as a number of visual tokens allows.
"""

from __future__ import annotations

import numpy as np

LEAST = 6  # cells
EARLY_MOST = 14  # cells of a side at the first step
GROWN = 0.6  # share of the steps after which canvases reach the native size
NATIVE_SHARE = 0.25  # of the steps, once `NATIVE_FROM` of them are done
NATIVE_FROM = 0.25


def canvas(
    step: int, steps: int, seed: int, native: int, least: int = LEAST, multiple: int = 1
) -> tuple[int, int]:
    """Rows and cols at a step."""
    rng = np.random.default_rng([step, seed, 7])
    progress = step / steps
    if progress >= NATIVE_FROM and rng.random() < NATIVE_SHARE:
        return native, native
    early = min(EARLY_MOST, native)
    most = round(early + (native - early) * min(1.0, progress / GROWN))
    rows, cols = (int(side) for side in rng.integers(least, most + 1, 2))
    return rows // multiple * multiple, cols // multiple * multiple


def first_upload(step: int, seed: int) -> int:
    """The number from which a batch's uploads are counted, which no other batch reaches."""
    return (seed * 100_000 + step) * 10_000


def batch_size(rows: int, visual: int, text: int = 0) -> int:
    """Uploads that make up about so many rows, if each has these of visual tokens and of text."""
    return max(1, round(rows / (visual + text)))
