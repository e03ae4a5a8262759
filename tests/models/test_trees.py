"""On drawn clips: a tree follows a thing that moves, and merging in place loses it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.embedded.world.clips import PIXELS, Actor, Clip, draw_clip
from pruning.methods import create
from pruning.step import TraceStep
from pruning.tokens import TokenLayout, VisualTokens
from pruning.trace import TokenTrace

FRAMES, SIDE, PATCH = 8, PIXELS // 8, 8
PLACES = SIDE * SIDE
METHODS = {"flashvid": {"alpha": 0.0, "min_segments": 1, "segment_threshold": -1.0}, "ttm": {}}


def patches(frames: np.ndarray) -> torch.Tensor:
    """(T, H, W, C) -> (T · N, P · P · C) float32, in raster order."""
    cut = frames.reshape(FRAMES, SIDE, PATCH, SIDE, PATCH, -1).swapaxes(2, 3)
    return torch.from_numpy(cut.reshape(FRAMES * PLACES, -1).astype(np.float32))


def mover(clip: Clip) -> Actor:
    """Who goes from one place to another in sight all the time, and keeps its colour."""
    return next(
        actor
        for actor in clip.actors
        if max(map(abs, actor.way)) > 0.25 and actor.enter == 0 and min(actor.leave, actor.turn) > 1
    )


def covered(clip: Clip, actor: Actor) -> np.ndarray:
    """(T · N,) how much of each patch shows it."""
    things = [(scene, actor.at(time)) for scene, time in zip(clip.scenes, clip.times, strict=True)]
    shown = np.stack([scene.owner == scene.things.index(thing) for scene, thing in things])
    return patches(shown[..., None]).mean(dim=1).numpy()


@pytest.mark.parametrize("seed", [8, 26, 43])
def test_what_moves_in_a_clip_is_followed_to_its_first_sight_but_not_in_place(seed: int) -> None:
    clip = draw_clip(seed, frames=FRAMES)
    share = covered(clip, mover(clip))
    at_the_end = np.flatnonzero(share > 0.9)
    at_the_end = at_the_end[at_the_end >= (FRAMES - 1) * PLACES]
    assert len(at_the_end) >= 4
    layout = TokenLayout.regular(FRAMES, SIDE, SIDE)
    even = torch.full((len(layout),), 1 / PLACES)
    visual = VisualTokens(patches(clip.frames) / 127.5 - 1, layout, even)
    followed = {}
    for name, knobs in METHODS.items():
        token_map = create(name, **knobs).compress(visual, PLACES)
        trace = TokenTrace(layout, (TraceStep.of(0, token_map),), 1)
        first = trace.survivor[at_the_end]
        followed[name] = np.mean((first < PLACES) & (share[first] > 0.5))
    assert followed["flashvid"] > 0.7
    assert followed["ttm"] == 0
