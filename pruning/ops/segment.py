"""Runs of similar consecutive frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from pruning.ops.cluster import dpc_knn


def segments(frames: Tensor, least: int, threshold: float, length: int = 1) -> Tensor:
    """(T, D) -> (T,) int64 segment of each frame, ascending from 0: DySeg of FlashVID and FastVID.

    Args:
        frames: one vector a frame.
        least: so many segments at least, cut where frames are least alike; never more than frames.
        threshold: cosine below which two consecutive frames are always cut apart.
        length: frames of a segment on average, to which `least` gives way; `threshold` does not.
    """
    alike = cosine_similarity(frames[:-1].float(), frames[1:].float(), dim=1)  # (T − 1,)
    rank = alike.argsort(stable=True).argsort()  # (T − 1,) 0 where frames are least alike
    cut = (alike < threshold) | (rank < min(least, len(frames) // length) - 1)
    return pad(cut.long().cumsum(0), (1, 0))


def scenes(frames: Tensor, share: float) -> Tensor:
    """(T, D) -> (T,) int64 segment of each frame, ascending from 0: clusters cut into PruneVID's.

    Of each of the `share` · T clusters only the longest runs of frames stand; the frames between
    join the longer of the runs beside them.
    """
    everyone = torch.ones(1, len(frames), dtype=torch.bool, device=frames.device)
    count = torch.tensor([max(1, int(share * len(frames)))], device=frames.device)
    label = dpc_knn(frames[None], everyone, count, torch.full_like(count, 7))[0]  # (T,)
    run = pad((label.diff() != 0).long().cumsum(0), (1, 0))  # (T,)
    length = run.bincount()  # (R,)
    of = label[length.cumsum(0) - 1]  # (R,) label of each run
    longest = torch.zeros_like(label).scatter_reduce(0, of, length, "amax")[of]  # (R,)
    stands = (length == longest) & (length > 1)
    index = torch.arange(len(length), device=frames.device)
    left = index.where(stands, -1).cummax(0).values  # (R,) the one standing at or before, or −1
    right = index.where(stands, len(index)).flip(0).cummin(0).values.flip(0)
    longer = pad(length * stands, (0, 1))  # (R + 1,), 0 for none on either side
    joined = torch.where(longer[right] > longer[left], right, left).clamp_min(0)  # (R,)
    label = of[joined][run]  # (T,)
    return pad((label.diff() != 0).long().cumsum(0), (1, 0))
