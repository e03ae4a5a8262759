"""Cuts a clip into segments: runs of similar consecutive frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, repeat
from operator import itemgetter

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from pruning.ops.cluster import dpc_knn

HOLE = -1  # label of a frame that joins a run beside it


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


def lengths(segment: Tensor) -> Tensor:
    """(T,) int64 frames of each segment, then zeros; `bincount` would make the host wait."""
    return torch.zeros_like(segment).index_add(0, segment, torch.ones_like(segment))


def scenes(frames: Tensor, share: float) -> Tensor:
    """(T, D) -> (T,) int64 segment of each frame, ascending from 0: those of PruneVID.

    Frames are clustered into `share` · T clusters, whose labels `filled` makes contiguous.
    """
    alive = torch.ones(1, len(frames), dtype=torch.bool, device=frames.device)
    count = torch.full((1,), max(1, int(share * len(frames))), device=frames.device)
    label = dpc_knn(frames[None], alive, count, is_limited=False)[0]  # (T,)
    label = torch.tensor(filled(label.tolist()), device=frames.device)
    return pad((label.diff() != 0).long().cumsum(0), (1, 0))


def filled(labels: Sequence[int]) -> list[int]:
    """Labels of frames, of which only the longest runs of each label stay; none of one frame.

    From the first frame on, the frames between take the label of the longer run beside them, of
    equals the left one. The run on the left has grown by what was filled before.
    """
    whole = _runs(labels)
    longest = dict(sorted(whole, key=itemgetter(1)))  # of each label
    kept = [label if 1 < length == longest[label] else HOLE for label, length in whole]
    lengths = [length for _, length in whole]
    runs = _runs(list(chain.from_iterable(map(repeat, kept, lengths))))
    result: list[int] = []
    for index, (label, length) in enumerate(runs):
        if label == HOLE:
            beside = [*_runs(result)[-1:], *runs[index + 1 : index + 2]]
            label = max(beside, key=itemgetter(1), default=(0, 0))[0]
        result += [label] * length
    return result


def _runs(labels: Sequence[int]) -> list[tuple[int, int]]:
    """Each run of equal labels: the label and its length."""
    return [(label, len(list(run))) for label, run in groupby(labels)]


def streaks(alike: Tensor) -> Tensor:
    """(T, N) int64 pairs of frames in a row that are alike, up to each frame.

    `alike` (T − 1, N) bool is of each frame and the next.
    """
    run, runs = torch.zeros(alike.shape[1], dtype=torch.int64, device=alike.device), []
    for pair in alike:
        run = (run + 1) * pair
        runs.append(run)
    return pad(torch.stack(runs), (0, 0, 1, 0)) if runs else run[None]


def most_saving(streak: Tensor, longest: int) -> Tensor:
    """(T,) int64 segment of each frame, ascending from 0: those of HoliTom.

    Storing once each place that is alike all through a segment saves a token for every further
    frame. Dynamic programming finds the segments that save most; of equals, the shorter ones.

    Args:
        streak: (T, N) int64, from `streaks`.
        longest: frames of a segment at most.
    """
    frames = len(streak)
    length = torch.arange(frames, device=streak.device)[:, None, None]  # in pairs
    alike = (streak >= length).sum(dim=2).T.tolist()  # [last frame][pairs]
    saved, first = [0], [0]  # up to each frame; the first frame of its segment
    for last in range(1, frames):
        options = [(saved[last - 1], last)]  # a segment of one frame
        for pairs in range(1, min(last + 1, longest)):
            start = last - pairs
            before = saved[start - 1] if start else 0
            options.append((before + pairs * alike[last][pairs], start))
        best = max(options, key=lambda option: option[0])  # the first of equals
        saved.append(best[0])
        first.append(best[1])
    opens = torch.zeros(frames, dtype=torch.int64)
    last = frames - 1
    while last >= 0:
        opens[first[last]], last = 1, first[last] - 1
    return (opens.cumsum(0) - 1).to(streak.device)
