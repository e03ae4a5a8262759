"""Cuts a clip into segments: runs of similar consecutive frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from pruning.ops.cluster import dpc_knn


def segments(frames: Tensor, least: int, threshold: float, length: int = 1) -> Tensor:
    """(T,) int64 segment of each frame, ascending from 0: DySeg of FlashVID and FastVID.

    Args:
        frames: (T, D), one vector for each frame.
        least: smallest number of segments; cuts are where frames are least similar.
        threshold: cosine of consecutive frames below which there is always a cut.
        length: frames in a segment; limits `least` to T / length, but not `threshold`.
    """
    similarity = cosine_similarity(frames[:-1].float(), frames[1:].float(), dim=1)  # (T − 1,)
    rank = similarity.argsort(stable=True).argsort()  # (T − 1,) 0 = least similar frames
    cut = (similarity < threshold) | (rank < min(least, len(frames) // length) - 1)
    return pad(cut.long().cumsum(0), (1, 0))


def scenes(frames: Tensor, share: float) -> Tensor:
    """(T, D) -> (T,) int64 segment of each frame, ascending from 0: those of PruneVID.

    Frames are clustered into `share` · T clusters. Only the longest runs of each cluster become
    segments; the frames between join the longer of the two runs beside them.
    """
    alive = torch.ones(1, len(frames), dtype=torch.bool, device=frames.device)
    count = torch.tensor([max(1, int(share * len(frames)))], device=frames.device)
    label = dpc_knn(frames[None], alive, count, torch.full_like(count, 7))[0]  # (T,)
    run = pad((label.diff() != 0).long().cumsum(0), (1, 0))  # (T,)
    length = run.bincount()  # (R,)
    of = label[length.cumsum(0) - 1]  # (R,) label of each run
    longest = torch.zeros_like(label).scatter_reduce(0, of, length, "amax")[of]  # (R,)
    is_kept = (length == longest) & (length > 1)
    index = torch.arange(len(length), device=frames.device)
    left = index.where(is_kept, -1).cummax(0).values  # (R,) the kept run at or before, or −1
    right = index.where(is_kept, len(index)).flip(0).cummin(0).values.flip(0)
    longer = pad(length * is_kept, (0, 1))  # (R + 1,); 0 = no run on that side
    joined = torch.where(longer[right] > longer[left], right, left).clamp_min(0)  # (R,)
    label = of[joined][run]  # (T,)
    return pad((label.diff() != 0).long().cumsum(0), (1, 0))
