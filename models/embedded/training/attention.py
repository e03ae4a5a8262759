"""Measures whether encoder attention finds objects: `python -m models.embedded.training.attention`.

VisionZip, Nüwa, FlashVID and others select by the attention that a token receives in the layer
that yields the features: from [CLS], or, without [CLS], from all tokens. This computes the share of
that attention on objects, the share of the picture that objects cover, and the share of object
tokens among the tokens that rank first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from models.catalog import find
from models.embedded.world.clips import as_media, draw_clip
from models.embedded.world.scenes import Scene, draw_scene, evaluation_seed
from models.loading import load
from models.uploads.media import Media, drawn
from models.weights import identify
from pruning.base import Needs

FIRST_SHARES = (1 / 9, 2 / 9, 1 / 3)
NEEDS = Needs(encoder=frozenset({"attention"}))


def cover(scene: Scene, grid: int) -> np.ndarray:
    """Share (grid²,) of each cell's pixels that show an object."""
    cells = (scene.owner >= 0).reshape(grid, len(scene.owner) // grid, grid, -1)
    return cells.mean(axis=(1, 3)).ravel()


def uploads(model: str, count: int) -> Iterator[tuple[Media, tuple[Scene, ...]]]:
    """Unseen pictures or clips, with the scene of each frame."""
    for index in range(count):
        seed = evaluation_seed(index)
        if "image" in find(model).media:
            scene = draw_scene(seed)
            yield drawn(scene.picture), (scene,)
        else:
            clip = draw_clip(seed)
            yield as_media(clip), clip.scenes


@torch.inference_mode()
def measure(model: str, count: int) -> dict[str, float | str]:
    adapter = load(model)
    on_objects, area = [], []
    first: dict[float, list[float]] = {share: [] for share in FIRST_SHARES}
    for media, scenes in tqdm(uploads(model, count), desc="uploads", total=count):
        visual = adapter.encode(adapter.prepare(media, "?"), NEEDS)
        assert visual.attention is not None and visual.layout.grid is not None
        frames = visual.attention.float().numpy().reshape(len(scenes), -1)
        for received, scene in zip(frames, scenes, strict=True):  # (cells,)
            covered = cover(scene, visual.layout.grid[1])
            on_objects.append(float(received @ covered / received.sum()))
            area.append(float(covered.mean()))
            ranked = np.argsort(-received)
            for share in FIRST_SHARES:
                best = ranked[: round(share * len(ranked))]
                first[share].append(float((covered[best] > 0.2).mean()))
    return {
        "model": model,
        "weights": identify(find(model)),
        "uploads": count,
        "attention_on_objects": float(np.mean(on_objects)),
        "area_of_objects": float(np.mean(area)),
        "times_chance": float(np.mean(on_objects) / np.mean(area)),
        **{f"objects_among_first_{share:.0%}": float(np.mean(first[share])) for share in first},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded-image")
    parser.add_argument("--scenes", "--clips", type=int, default=500, dest="count")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures = measure(options.model, options.count)
    for name, value in figures.items():
        print(f"{name:<28}{value:.3f}" if isinstance(value, float) else f"{name:<28}{value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
