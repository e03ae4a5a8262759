"""The sizes of the pictures in each training step: the models see many resolutions.

All pictures of a batch have one random size of rows × cols cells. Early sizes are small, so early
steps are fast. Later sizes reach the native one, and a share of the steps has exactly that one.
The number of pictures in a batch follows from a number of visual tokens.
"""

from __future__ import annotations

import numpy as np

LEAST = 6  # cells
EARLY_MOST = 14  # cells of a side at the first step
GROWN = 0.6  # share of the steps after which sizes reach the native one
NATIVE_SHARE = 0.25  # of the steps, once `NATIVE_FROM` of them are done
NATIVE_FROM = 0.25


def canvas(
    step: int, steps: int, seed: int, native: int, least: int = LEAST, multiple: int = 1
) -> tuple[int, int]:
    """Rows and columns of cells at a step."""
    rng = np.random.default_rng([step, seed, 7])
    progress = step / steps
    if progress >= NATIVE_FROM and rng.random() < NATIVE_SHARE:
        return native, native
    early = min(EARLY_MOST, native)
    most = round(early + (native - early) * min(1.0, progress / GROWN))
    rows, cols = (int(side) for side in rng.integers(least, most + 1, 2))
    return rows // multiple * multiple, cols // multiple * multiple


def first_upload(step: int, seed: int) -> int:
    """The index of a batch's first upload. The uploads of two batches never overlap."""
    return (seed * 100_000 + step) * 10_000


def batch_size(rows: int, visual: int, text: int = 0) -> int:
    """Number of uploads with `visual` and `text` rows each that give about `rows` rows."""
    return max(1, round(rows / (visual + text)))
