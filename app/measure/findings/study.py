"""The plan of the findings: models, uploads and lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product

from app.jobs import method_of
from pruning.base import CompressionMethod
from pruning.methods import create

SEEDS = (1, 2, 3)
FIRST = 100_000  # number of seed 1's first scene or clip; twice that for seed 2, …
PICTURES, CLIPS = 150, 120  # of each seed
PICTURE_RATIOS = (0.333, 0.222, 0.111)
CLIP_RATIOS = (0.25, 0.20, 0.15, 0.10)
PESP_RATIOS = (0.25, 0.10)  # of clips, for PESP
PICTURE_METHODS = ("random", "grid", "pooling", "visionzip", "fastv", "sparsevlm", "nuwa")
SELECTIONS = ("random", "grid", "visionzip", "fastv")
STRATEGIES = ("perc", "pesp", "rpme")
CLIP_METHODS = ("flashvid", "fastvid", "ttm", "visionzip", "pooling")
# A method's own strategy runs once, as published.
PUBLISHED = {
    "random": "pesp",
    "grid": "pesp",
    "visionzip": "perc",
    "fastv": "pesp",
    "fastvid": "pesp",
}


@dataclass(frozen=True, order=True)
class Lane:
    """A method at a ratio under one position strategy."""

    method: str
    ratio: float = 1.0
    positions: str = "published"

    @property
    def key(self) -> str:
        """ "visionzip@0.333/rpme": its name in stores."""
        return self.method if self.ratio == 1 else f"{self.method}@{self.ratio}/{self.positions}"

    def create(self, seed: int, index: int) -> CompressionMethod:
        """The method for one upload of a seed; random selection differs between uploads."""
        if self.ratio == 1:
            return create(self.method)
        if self.method == "random":
            draw = (1000 * seed + index) % 10_000
            numbering = {} if self.positions == "published" else {"numbering": self.positions}
            return create("random", retention_ratio=self.ratio, seed=draw, **numbering)
        return method_of(self.method, self.ratio, self.positions)


VANILLA = Lane("vanilla")
FLOOR = Lane("random", 0.01)  # nearly all visual tokens dropped


def numbered(method: str, ratio: float, strategy: str) -> Lane:
    """The lane of a method under one strategy."""
    return Lane(method, ratio, "published" if PUBLISHED.get(method) == strategy else strategy)


@dataclass(frozen=True)
class Study:
    """One model, its drawn uploads by seed, and the lanes that answer questions about each."""

    model: str
    count: int  # uploads of each seed
    lanes: tuple[Lane, ...]

    def uploads(self) -> Iterator[tuple[int, int]]:
        """Seed and number of each evaluation scene or clip."""
        for seed in SEEDS:
            yield from ((seed, FIRST * seed + index) for index in range(self.count))


PICTURE_LANES = tuple(Lane(*pair) for pair in product(PICTURE_METHODS, PICTURE_RATIOS))
POSITION_LANES = tuple(
    numbered(*three) for three in product(SELECTIONS, PICTURE_RATIOS, STRATEGIES)
)
CLIP_LANES = {
    "published": tuple(Lane(*pair) for pair in product(CLIP_METHODS, CLIP_RATIOS)),
    "pesp": tuple(numbered(*pair, "pesp") for pair in product(CLIP_METHODS, PESP_RATIOS)),
}


def studies(pictures: int = PICTURES, clips: int = CLIPS) -> tuple[Study, Study]:
    """Findings 1 and 3 on pictures, FlashVID's on clips."""
    on_pictures = dict.fromkeys((VANILLA, FLOOR, *PICTURE_LANES, *POSITION_LANES))
    on_clips = dict.fromkeys((VANILLA, FLOOR, *chain(*CLIP_LANES.values())))
    return (
        Study("embedded-image", pictures, tuple(on_pictures)),
        Study("embedded-video", clips, tuple(on_clips)),
    )
