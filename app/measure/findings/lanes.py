"""Lanes of the findings: a method at a ratio under one position strategy."""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs import method_of
from pruning.base import CompressionMethod
from pruning.methods import create

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
