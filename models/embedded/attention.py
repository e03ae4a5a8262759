"""Does [CLS] attention mean something? `python -m models.embedded.attention --scenes 500`.

VisionZip, PruMerge and Nüwa select by the attention that [CLS] pays in the layer that yields the
features. Here: the share of it that falls on objects, beside the share of the picture they cover,
and the same for the tokens it ranks first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from models.catalog import load
from models.embedded.build import GRID, PATCH
from models.embedded.world import Scene, draw_scene, evaluation_seed
from models.media import drawn
from pruning.base import Needs

FIRST_SHARES = (1 / 9, 2 / 9, 1 / 3)
NEEDS = Needs(encoder=frozenset({"attention"}))


def cover(scene: Scene) -> np.ndarray:
    """(N,) share of each patch's pixels that show an object."""
    objects = (scene.owner >= 0).reshape(GRID, PATCH, GRID, PATCH)
    return objects.mean(axis=(1, 3)).ravel()


@torch.inference_mode()
def measure(scenes: int) -> dict[str, float]:
    adapter = load("embedded-image")
    on_objects, area = [], []
    first: dict[float, list[float]] = {share: [] for share in FIRST_SHARES}
    for index in tqdm(range(scenes), desc="scenes"):
        scene = draw_scene(evaluation_seed(index))
        prompt = adapter.prepare(drawn(scene.picture), "?")
        received = adapter.encode(prompt, NEEDS).attention.numpy()  # (N,)
        covered = cover(scene)
        on_objects.append(float(received @ covered / received.sum()))
        area.append(float(covered.mean()))
        ranked = np.argsort(-received)
        for share in FIRST_SHARES:
            best = ranked[: round(share * len(ranked))]
            first[share].append(float((covered[best] > 0.2).mean()))
    return {
        "scenes": scenes,
        "attention_on_objects": float(np.mean(on_objects)),
        "area_of_objects": float(np.mean(area)),
        "times_chance": float(np.mean(on_objects) / np.mean(area)),
        **{f"objects_among_first_{share:.0%}": float(np.mean(first[share])) for share in first},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures = measure(options.scenes)
    for name, value in figures.items():
        print(f"{name:<28}{value:.3f}" if isinstance(value, float) else f"{name:<28}{value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
