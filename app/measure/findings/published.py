"""The papers' tables as cells: a method in a column, its figure, and the lane run for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from app.measure.findings.lanes import CLIP_RATIOS, PICTURE_RATIOS, Lane
from app.settings import ROOT
from pruning.budget import Budget
from pruning.methods.sparsevlm import LAYERS, RECYCLING

FIGURES = ROOT / "assets" / "results" / "paper-tables.json"
WHOLE = 576  # tokens of a picture in LLaVA-1.5, to which the columns of Nüwa's tables refer
TOKENS = {f"{round(WHOLE * ratio)} tokens": ratio for ratio in PICTURE_RATIOS}
PERCENT = {f"{100 * ratio:g} %": ratio for ratio in CLIP_RATIOS}
METHODS = {  # the papers' names -> ours and the numbering
    "FEATHER": ("feather", "published"),
    "FastV": ("fastv", "published"),
    "FastV-fix": ("fastv", "rpme"),
    "FastVID": ("fastvid", "published"),
    "FlashVID": ("flashvid", "published"),
    "Nüwa": ("nuwa", "published"),
    "PDrop": ("pyramiddrop:early", "published"),
    "Pooling": ("pooling", "published"),
    "PruMerge": ("prumerge", "published"),
    "PruneVID": ("prunevid", "published"),
    "SparseVLM": ("sparsevlm", "published"),
    "VisionZip": ("visionzip", "published"),
    "VisionZip-fix": ("visionzip", "rpme"),
}
AS_WRITTEN = {"Nüwa": "nuwa:paper"}  # a further row with the settings that the paper states


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    method: str
    column: str
    percent: float  # of vanilla's score
    lane: Lane
    ranked: bool = True  # False: a further row of a method, left out of the correlation


@dataclass(frozen=True)
class Table:
    """One table of a paper, and what stands for it here."""

    key: str
    title: str
    model: str
    boxes: bool  # compared on questions for boxes, else on all others
    lead: str  # the paper's own method, whose levels are tested
    columns: dict[str, float]  # name -> retention ratio

    @property
    def source(self) -> str:
        return str(_figures(self.key)["source"])

    @property
    def cells(self) -> Iterator[Cell]:
        """The printed figures, column by column, in the order of the file."""
        for index, (column, ratio) in enumerate(self.columns.items()):
            for method, figures in _figures(self.key)["percent"].items():
                if figures[index] is None:
                    continue
                name, positions = METHODS[method]
                asked = ratio_of(method, self.model, ratio)
                yield Cell(method, column, figures[index], Lane(name, asked, positions))
                if written := AS_WRITTEN.get(method):
                    lane = Lane(written, asked)
                    yield Cell(f"{method}, as written", column, figures[index], lane, ranked=False)


TABLES = (
    Table("vqa", "Questions about pictures", "embedded-image", False, "Nüwa", TOKENS),
    Table("grounding", "Grounding", "embedded-image", True, "Nüwa", TOKENS),
    Table("video", "Questions about clips", "embedded-video", False, "FlashVID", PERCENT),
)


def ratio_of(method: str, model: str, ratio: float) -> float:
    """The layer average of the setting behind a column; two rows are not what the column says.

    SparseVLM's lists are named after the tokens handed on, and the layers process more. FastV's
    "25 %" of a clip is what it keeps from layer 2 of 28 on, and before it keeps all.
    """
    if method == "SparseVLM":
        counts = min(RECYCLING.items(), key=lambda item: abs(item[0] - ratio))[1]
        budget = Budget(WHOLE, tuple(zip(LAYERS, counts, strict=True)))
        return round(budget.average(32) / WHOLE, 3)
    if method == "FastV" and model == "embedded-video":
        return round((2 + 26 * ratio) / 28, 3)
    return ratio


def _figures(key: str) -> dict:
    figures: dict = json.loads(FIGURES.read_text(encoding="utf-8"))[key]
    return figures
