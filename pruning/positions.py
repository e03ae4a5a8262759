"""The ids of survivors for rotary embedding: before the LLM (`place`) and inside it (`renumber`).

Ids are int64 on one axis (plain RoPE; axes.py has the three of M-RoPE) and follow the rows: sorting
is never needed, so rows may come in any order and may share a place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.base import PositionStrategy


def place(strategy: PositionStrategy, places: Tensor, start: int, n: int) -> tuple[Tensor, int]:
    """Ids (K,) of the survivors before the LLM, and the id of the first text token after them.

    Args:
        strategy: how to number them.
        places: (K,) int64 raster rank among the `n` placed tokens; −1 = none: it takes the first.
        start: id of the first visual token, had nothing been dropped.
        n: placed tokens of the whole picture or clip; without compression they take `n` ids.
    """
    places = places.clamp_min(0)
    if strategy is PositionStrategy.PERC:
        return start + torch.arange(len(places), device=places.device), start + len(places)
    if strategy is PositionStrategy.PESP:
        return start + places, start + n
    return start + STRETCHES[strategy](places, n - 1), start + n


def renumber(
    strategy: PositionStrategy, ids: Tensor, visual: Tensor, rows: Tensor
) -> tuple[Tensor, int]:
    """Ids (S',) from a pruning layer on, and its shift: how far later text and decode move up.

    Shifts of several pruning layers add up. PERC closes every gap, those left before the LLM too.

    Args:
        strategy: how to number them.
        ids: (S,) int64 of the rows now alive; the last row is text.
        visual: (S,) bool, which rows are visual.
        rows: (S',) int64 old row whose place each new row takes; all text rows are among them.
    """
    check_text_follows(visual)
    if strategy is PositionStrategy.PESP:
        return ids[rows], 0
    if strategy is PositionStrategy.PERC:
        renumbered = ids[0] + torch.arange(len(rows), device=ids.device)
        return renumbered, int(ids[-1] - renumbered[-1])
    start, n = picture_span(ids, visual)
    kept = visual[rows]  # (S',)
    stretched, _ = place(strategy, ids[rows][kept] - start, start, n)
    return ids[rows].masked_scatter(kept, stretched), 0


def picture_span(ids: Tensor, visual: Tensor) -> tuple[int, int]:
    """First id and number of ids between the text before the picture and the text after it."""
    text, picture = ids[~visual], ids[visual]
    before = text[text < picture.min()]
    start = int(before.max()) + 1 if len(before) else 0
    return start, int(text[text > picture.max()].min()) - start


def stretch_literal(places: Tensor, last: int) -> Tensor:
    """Algorithm 3: the first place goes to 0, any other to ⌈place · last / last place⌉."""
    ceiled = -(-places * last // places.max().clamp_min(1))
    return torch.where(places == places.min(), 0, ceiled)


def stretch_affine(places: Tensor, last: int) -> Tensor:
    """The first place goes to 0, the last to `last`, any other in proportion, rounded half up."""
    steps = places - places.min()
    span = steps.max().clamp_min(1)
    return (2 * steps * last + span) // (2 * span)


STRETCHES = {
    PositionStrategy.RPME: stretch_literal,
    PositionStrategy.RPME_AFFINE: stretch_affine,
}


def check_text_follows(visual: Tensor) -> None:
    if bool(visual[-1]):
        raise ValueError("the last row is visual; text must follow the picture")
