"""Token layout of pictures that are cut into square tiles."""

from __future__ import annotations

import numpy as np

from pruning.tokens import TokenLayout


def lay_out(rows: int, cols: int, side: int) -> TokenLayout:
    """The layout of `rows` x `cols` tiles of side² tokens, and of the thumbnail after them.

    A picture of one tile has no thumbnail, so its tokens lie on a regular grid.
    """
    whole = TokenLayout.regular(1, side, side)
    if rows * cols == 1:
        return whole
    corners = np.array([(col, row, col, row) for row in range(rows) for col in range(cols)])
    tiles = (whole.box + corners[:, None]) / np.array([cols, rows, cols, rows])  # (tiles, side², 4)
    box = np.concatenate([tiles.reshape(-1, 4), whole.box]).astype(np.float32)
    view = np.repeat([*range(1, rows * cols + 1), 0], side**2)
    return TokenLayout(frame=np.zeros(len(box), dtype=np.int32), box=box, view=view)
