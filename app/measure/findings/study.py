"""The plan of the findings: models, uploads and lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product

from app.measure.findings.lanes import (
    CLIP_METHODS,
    CLIP_RATIOS,
    FLOOR,
    PESP_RATIOS,
    PICTURE_METHODS,
    PICTURE_RATIOS,
    SELECTIONS,
    STRATEGIES,
    VANILLA,
    Lane,
    numbered,
)
from app.measure.findings.published import TABLES

SEEDS = (1, 2, 3)
FIRST = 100_000  # number of seed 1's first scene or clip; twice that for seed 2, …


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


def studies(pictures: int, clips: int) -> tuple[Study, Study]:
    """Findings 1 and 3 on pictures, FlashVID's on clips, and the papers' tables on both."""
    asked = {
        "embedded-image": (*PICTURE_LANES, *POSITION_LANES),
        "embedded-video": tuple(chain(*CLIP_LANES.values())),
    }
    for table in TABLES:
        asked[table.model] += tuple(cell.lane for cell in table.cells)
    counts = {"embedded-image": pictures, "embedded-video": clips}
    one, other = (
        Study(model, counts[model], tuple(dict.fromkeys((VANILLA, FLOOR, *lanes))))
        for model, lanes in asked.items()
    )
    return one, other
