"""A grey clip, and a trace in which one tree moves and one stands still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.uploads.media import Media
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import factory

T, ROWS, COLS = 6, 4, 6
PER_FRAME = ROWS * COLS
N = T * PER_FRAME
LAYOUT = TokenLayout.regular(T, ROWS, COLS)
BALL = 2 * PER_FRAME - COLS  # second frame, row 3, column 0
PATH = BALL + np.arange(5) * (PER_FRAME + 1)  # one column to the right per frame
WALL = 0  # its members are row 0 of every frame
SEGMENTS = np.array([0, 0, 0, 1, 1, 2])


def grey(num_frames: int = T, width: int = 180, height: int = 120) -> Media:
    frames = np.full((num_frames, height, width, 3), 140, dtype=np.uint8)
    return Media(frames, np.arange(num_frames) / 2, "video", "made up", 0.0)


def trace(inner: bool = False) -> TokenTrace:
    """Two trees and two single survivors; with `inner`, LLM layer 16 drops one of each."""
    wall = (np.arange(T)[:, None] * PER_FRAME + np.arange(COLS)).ravel()
    owner = np.full(N, -1)
    owner[wall], owner[PATH] = 0, 1
    alone = [PER_FRAME - 1, N - 1]
    owner[alone] = 2, 3
    anchors = np.array([WALL, BALL, *alone])
    adts = np.array([False, False, True, False])
    step = factory.merge_step(anchors, owner, tags={"adts": adts, "tstm": ~adts})
    steps = [replace(step, segments=SEGMENTS)]
    if inner:
        steps.append(factory.selection_step(np.array([0, 2]), 4, 16))
    return TokenTrace(LAYOUT, tuple(steps), factory.LAYERS)
