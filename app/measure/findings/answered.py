"""The answers of one study as arrays, and the rates that are read off them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from app.measure.findings.paired import interval, mcnemar
from app.measure.findings.study import FLOOR, SEEDS, VANILLA, Lane


class Answered:
    """What every lane of a study made of every question (n of them)."""

    def __init__(self, records: Sequence[dict]) -> None:
        self.records = records
        self.box = np.array([record["box"] for record in records])  # (n,)
        self.seed = np.array([record["seed"] for record in records])
        self.moving = np.array([record["moving"] is True for record in records])
        self.still = np.array([record["moving"] is False for record in records])

    def refused(self, lane: Lane) -> str:
        """Why the method does not go as low; empty where it does."""
        told = self.records[0]["lanes"][lane.key]
        return told if isinstance(told, str) else ""

    def right(self, lane: Lane) -> np.ndarray:
        """(n,) bool."""
        return np.array([record["lanes"][lane.key][0] for record in self.records])

    def ran(self, lane: Lane) -> float:
        """The ratio that ran, a mean over the questions."""
        return float(np.mean([record["lanes"][lane.key][2] for record in self.records]))

    def rate(self, lane: Lane, asked: np.ndarray) -> dict[str, float]:
        """Share right among `asked` (n,): the mean over seeds, and their standard deviation."""
        right = self.right(lane)
        rates = [right[asked & (self.seed == seed)].mean() for seed in SEEDS]
        return {"mean": float(np.mean(rates)), "spread": float(np.std(rates, ddof=1))}

    def lost(self, lane: Lane) -> dict[str, float]:
        """What of the gain from seeing is lost, on questions and on grounding, and the difference.

        1 = no better than with next to nothing kept, 0 = as good as vanilla. The interval is of
        grounding's loss beyond that of questions.
        """
        rights = [self.right(which) for which in (lane, VANILLA, FLOOR)]
        low, high = interval(lambda drawn: self._beyond(rights, self.of_uploads(drawn)), self.units)
        whole = np.arange(len(self.records))
        return {
            "questions": self._loss(rights, whole[~self.box]),
            "grounding": self._loss(rights, whole[self.box]),
            "low": low,
            "high": high,
        }

    def against(self, first: Lane, second: Lane, asked: np.ndarray) -> dict[str, float]:
        """McNemar's test between two lanes over the questions `asked` (n,)."""
        ours, theirs, p = mcnemar(self.right(first)[asked], self.right(second)[asked])
        return {"first_alone": ours, "second_alone": theirs, "p": p}

    @cached_property
    def _uploads(self) -> list[np.ndarray]:
        """Of each upload, which records are about it."""
        index = np.array([record["index"] for record in self.records])
        return [np.flatnonzero(index == upload) for upload in np.unique(index)]

    @property
    def units(self) -> int:
        return len(self._uploads)

    def of_uploads(self, drawn: np.ndarray) -> np.ndarray:
        """Records about the uploads drawn, each as often as it was."""
        return np.concatenate([self._uploads[unit] for unit in drawn])

    def _beyond(self, rights: list[np.ndarray], chosen: np.ndarray) -> float:
        boxed = self.box[chosen]
        return self._loss(rights, chosen[boxed]) - self._loss(rights, chosen[~boxed])

    def _loss(self, rights: list[np.ndarray], chosen: np.ndarray) -> float:
        lane, vanilla, blind = (right[chosen].mean() for right in rights)
        return float((vanilla - lane) / max(vanilla - blind, 1e-9))
