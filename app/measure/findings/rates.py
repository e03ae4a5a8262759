"""Rates, losses and tests of a study's answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from app.measure.asking import Answer, Refusal
from app.measure.findings.answers import Record
from app.measure.findings.lanes import FLOOR, VANILLA, Lane
from app.measure.findings.study import SEEDS
from app.significance import interval, mcnemar


class Rates:
    """The answers of all lanes to the n questions of a study, as arrays."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.box = np.array([record.box for record in records])  # (n,)
        self.seed = np.array([record.seed for record in records])
        self.moving = np.array([record.moving is True for record in records])
        self.still = np.array([record.moving is False for record in records])

    def refused(self, lane: Lane) -> str:
        """Why the method refuses a question of the study, or ""."""
        answers = (record.answers[lane.key] for record in self.records)
        return next((a.reason for a in answers if isinstance(a, Refusal)), "")

    def right(self, lane: Lane) -> np.ndarray:
        """(n,) bool."""
        return np.array([answer.right for answer in self._answers(lane)])

    def measured_ratio(self, lane: Lane) -> float:
        return float(np.mean([round(answer.ratio, 4) for answer in self._answers(lane)]))

    def right_by_upload(self, lane: Lane, questions: np.ndarray) -> np.ndarray:
        """(U,) how many of `questions` (n,) bool about each upload are answered right."""
        right = self.right(lane) & questions
        return np.bincount(self._upload, weights=right)

    def tokens(self) -> tuple[int, int]:
        """Fewest and most visual tokens of an upload."""
        counts = [round(answer.averages["processed"]) for answer in self._answers(VANILLA)]
        return min(counts), max(counts)

    def rate(self, lane: Lane, questions: np.ndarray) -> dict[str, float]:
        """Share right among `questions` (n,) bool: mean and standard deviation over the seeds."""
        right = self.right(lane)
        rates = [right[questions & (self.seed == seed)].mean() for seed in SEEDS]
        return {"mean": float(np.mean(rates)), "spread": float(np.std(rates, ddof=1))}

    def lost(self, lane: Lane) -> dict[str, float]:
        """Loss on questions and on grounding, and a 95 % interval of grounding's minus questions'.

        A loss is (vanilla − lane) / (vanilla − floor): 0 is as good as vanilla, 1 as bad as with
        nearly all visual tokens dropped.
        """
        rights = [self.right(each) for each in (lane, VANILLA, FLOOR)]
        uploads = self._by_upload

        def difference(drawn: np.ndarray) -> float:
            chosen = np.concatenate([uploads[unit] for unit in drawn])
            boxed = self.box[chosen]
            return _loss(rights, chosen[boxed]) - _loss(rights, chosen[~boxed])

        low, high = interval(difference, len(uploads))
        return {
            "questions": _loss(rights, np.flatnonzero(~self.box)),
            "grounding": _loss(rights, np.flatnonzero(self.box)),
            "low": low,
            "high": high,
        }

    def compare(self, first: Lane, second: Lane, questions: np.ndarray) -> dict[str, float]:
        """McNemar's test between two lanes on `questions` (n,) bool."""
        ours, theirs, p = mcnemar(self.right(first)[questions], self.right(second)[questions])
        return {"first_alone": ours, "second_alone": theirs, "p": p}

    def _answers(self, lane: Lane) -> list[Answer]:
        answers = [record.answers[lane.key] for record in self.records]
        return [answer for answer in answers if isinstance(answer, Answer)]

    @cached_property
    def _upload(self) -> np.ndarray:
        """(n,) number of each record's upload, from 0."""
        index = [record.index for record in self.records]
        return np.unique(index, return_inverse=True)[1]

    @cached_property
    def _by_upload(self) -> list[np.ndarray]:
        """Indices of the records of each upload."""
        return [np.flatnonzero(self._upload == unit) for unit in range(self._upload.max() + 1)]


def _loss(rights: Sequence[np.ndarray], chosen: np.ndarray) -> float:
    lane, vanilla, floor = (right[chosen].mean() for right in rights)
    return float((vanilla - lane) / max(vanilla - floor, 1e-9))
