"""The records of a case set: a case, a row that is no case, and the set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from models.engine.record import Truth

Box = tuple[float, float, float, float]  # xyxy, as fractions of the picture


@dataclass(frozen=True)
class Case:
    """One question about one upload, and what is known about the right answer."""

    id: str  # see `case_id`
    picture: str  # path below the set's folder, "drawn:…", or "" where only the log is known
    question: str  # with `locate`, the expression that is to be found
    answers: tuple[str, ...] = ()  # right ones; several: of several people
    box: Box | None = None  # of the object asked about; by the metric "iou" it is the answer
    kind: str = ""  # of question, such as "colour"
    tags: tuple[str, ...] = ()
    metric: str = ""  # of `app.cases.scores.METRICS`; empty: nothing to score by
    locate: bool = False  # the model's own prompt for a box is put around the question
    place: str = ""  # "cases.csv, row 3"
    index: str = ""  # in its set, as the logs of other tools name it

    @property
    def name(self) -> str:
        return self.id

    @property
    def truth(self) -> Truth | None:
        """The right answer of a comparison."""
        if self.metric == "iou" and self.box is not None:
            return Truth("", self.box)
        return Truth(self.answers[0]) if self.answers else None

    @property
    def truth_text(self) -> str:
        """The right answer in words, "" if it is not known."""
        if self.metric == "iou" and self.box is not None:
            return f"[{', '.join(f'{edge:.2f}' for edge in self.box)}]"
        return " | ".join(self.answers)

    @property
    def size(self) -> float | None:
        """Area of the object's box as a share of the picture."""
        if self.box is None:
            return None
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class UnwrittenError(ValueError):
    """A picture of a set cannot be written to disk: the set, not only its row, is unusable."""


@dataclass(frozen=True)
class BadRow:
    """A row that is not a case, or a case that could not be asked."""

    place: str
    reason: str  # one sentence


@dataclass(frozen=True)
class CaseSet:
    """Cases with unique ids, and the rows that are not cases."""

    source: str  # as a person named it
    root: Path  # folder that pictures are relative to
    extracted: Path  # folder of pictures that the set holds as bytes
    cases: tuple[Case, ...]
    bad: tuple[BadRow, ...] = field(default=())


def case_id(picture_digest: str, question: str) -> str:
    """The id of a question about a picture: the same in any order and under any file name."""
    return hashlib.sha256(f"{picture_digest}\0{question.strip()}".encode()).hexdigest()[:16]
