"""Draws the README's picture: FlashVID's tree follows a moving object, merging in place cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from app.docs.examples import CLIP_SEEDS
from app.drawn_uploads import DRAWN_FRAMES, SAMPLED_FRAMES
from app.render.tree_sheet import draw_tree
from app.render.trees import Tree, largest_trees
from app.settings import EXAMPLES, ROOT
from models.embedded.build_video import POOLED
from models.embedded.training.perception import owners
from models.embedded.world.clips import Clip, draw_clip
from models.embedded.world.scenes import evaluation_seed
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media
from models.uploads.read import read_media
from pruning.methods import create
from pruning.trace import TokenTrace

PICTURE = ROOT / "assets" / "screenshots" / "trees.png"
CLIP, KIND, RATIO = 4, "bell", 0.25
METHODS = ("flashvid", "ttm")  # one above the other


def draw() -> Iterator[Path]:
    """For each method, draw the tree with the most tokens of one object of an example clip."""
    media = read_media(EXAMPLES / f"clip-{CLIP}.mp4", SAMPLED_FRAMES)
    clip = draw_clip(evaluation_seed(CLIP_SEEDS[CLIP - 1]), DRAWN_FRAMES)
    on_object = tokens_of(KIND, clip)
    adapter = load("embedded-video")
    sheets = []
    for name in METHODS:
        method = create(name, retention_ratio=RATIO)
        *_, result = run_lane(adapter, media, "Which way does it move?", method, max_new_tokens=1)
        assert isinstance(result, LaneResult)
        sheets.append(sheet(media, result.trace, on_object))
    widest = max(each.width for each in sheets)
    stacked = Image.new(
        "RGB", (widest, sum(each.height for each in sheets)), sheets[0].getpixel((0, 0))
    )
    for number, each in enumerate(sheets):
        stacked.paste(each, (0, sum(before.height for before in sheets[:number])))
    stacked.save(PICTURE, optimize=True)
    yield PICTURE


def tokens_of(kind: str, clip: Clip) -> np.ndarray:
    """(N,) bool: the visual tokens of the sampled frames that show the object."""
    sampled = np.linspace(0, DRAWN_FRAMES - 1, SAMPLED_FRAMES).astype(int)
    masks = []
    for scene in (clip.scenes[index] for index in sampled):
        index = next((i for i, thing in enumerate(scene.things) if thing.kind == kind), None)
        masks.append(owners(scene, POOLED).numpy() == (-2 if index is None else index))
    return np.concatenate(masks)


def sheet(media: Media, trace: TokenTrace, on_object: np.ndarray) -> Image.Image:
    """The tree with the most tokens on the object, as it enters the LLM."""

    def size(one: Tree) -> int:
        count = int(on_object[one.members].sum())
        return count if 2 * count > len(one) else 0

    best = max(largest_trees(trace, len(trace), layer=0), key=size)
    return draw_tree(media, trace, best.survivor, layer=0)
