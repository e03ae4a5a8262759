"""Every method against down-sampling: answers to the same questions at the same ratio, in pairs.

VTC-Bench (arXiv 2510.07143) asks this: which methods beat a smaller picture of as many tokens? A
question that down-sampling answers wrong is hard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from app.measure.asking import Answer, Refusal
from app.render.table import text_table
from app.significance import LEVEL, holm, mcnemar
from pruning.base import CompressionMethod

FOIL = "downsample"
ALL = "all"  # sorts of question together

Lane = tuple[str, CompressionMethod]


@dataclass(frozen=True)
class Pair:
    """A method and down-sampling on all questions of one sort. Counts are of questions."""

    method: str
    retention_ratio: float
    sort: str
    questions: int
    foil_right: int
    method_alone: int  # right by the method, wrong by down-sampling
    foil_alone: int
    p: float  # McNemar's exact test, adjusted over the report by Holm's step-down

    @property
    def points(self) -> float:
        """Share right minus that of down-sampling, in percentage points."""
        return 100 * (self.method_alone - self.foil_alone) / self.questions

    @property
    def hard_right(self) -> float | None:
        """Share right of the hard questions; None if there are none."""
        hard = self.questions - self.foil_right
        return self.method_alone / hard if hard else None


def pairs(
    lanes: Sequence[Lane], columns: Sequence[Sequence[Answer | Refusal]]
) -> list[dict[str, Any]]:
    """A `Pair` of each lane, ratio and sort, as a report stores it; none without down-sampling.

    Args:
        lanes: names as a person types them, and methods.
        columns: the answers of each lane to all questions, in the same order.
    """
    found = list(_compare(lanes, columns))
    adjusted = holm([pair.p for pair in found])
    return [asdict(replace(pair, p=p)) for pair, p in zip(found, adjusted, strict=True)]


def _compare(
    lanes: Sequence[Lane], columns: Sequence[Sequence[Answer | Refusal]]
) -> Iterator[Pair]:
    answered = {
        (name, method.retention_ratio): [one for one in column if isinstance(one, Answer)]
        for (name, method), column in zip(lanes, columns, strict=True)
        if hasattr(method, "retention_ratio")
        and not any(isinstance(one, Refusal) for one in column)
    }
    for (name, ratio), answers in answered.items():
        foil = answered.get((FOIL, ratio))
        if name != FOIL and foil:
            for sort in (*sorted({answer.sort for answer in answers}), ALL):
                yield _pair(name, ratio, sort, answers, foil)


def _pair(
    name: str, ratio: float, sort: str, answers: Sequence[Answer], foil: Sequence[Answer]
) -> Pair:
    chosen = np.array([sort in (answer.sort, ALL) for answer in answers])  # (n,)
    method, smaller = (
        np.array([answer.right for answer in column])[chosen] for column in (answers, foil)
    )
    method_alone, foil_alone, p = mcnemar(method, smaller)
    counts = int(chosen.sum()), int(smaller.sum())
    return Pair(name, ratio, sort, *counts, method_alone, foil_alone, p)


def read(report: Mapping[str, Any]) -> list[Pair]:
    """The pairs of a report of `bench`; none if it was made without down-sampling."""
    return [Pair(**fields) for fields in report.get("against_downsampling", [])]


def cells(found: Sequence[Pair]) -> Iterator[tuple[float, list[str], list[list[str]]]]:
    """For each ratio: the ratio, the head of a table, and its rows, one for each method."""
    for ratio in sorted({pair.retention_ratio for pair in found}, reverse=True):
        here = {(p.method, p.sort): p for p in found if p.retention_ratio == ratio}
        sorts = [sort for sort in dict.fromkeys(sort for _, sort in here) if sort != ALL]
        methods = list(dict.fromkeys(method for method, _ in here))
        rows = [
            [
                method,
                *(_points(here[method, sort]) for sort in (*sorts, ALL)),
                _share(here[method, ALL].hard_right),
            ]
            for method in methods
        ]
        yield ratio, ["", *sorts, ALL, "of the hard"], rows


def _points(pair: Pair) -> str:
    return f"{pair.points:+.1f}{' *' if pair.p < LEVEL else ''}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def table(report: Mapping[str, Any]) -> str:
    """Fixed-width text; empty if the report was made without down-sampling."""
    parts = []
    for ratio, head, rows in cells(read(report)):
        marked = f"against down-sampling at {ratio:.1%}, percentage points (* p < {LEVEL})"
        parts += ["", marked, text_table(head, rows, numbers=True)]
    return "\n".join(parts)
