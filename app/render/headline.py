"""The outcome of a comparison in words: which methods are right, with how many visual tokens.

Computed from the record alone. A method is right where its box overlaps the true one by half, or
its answer is the true one. Without a known truth, answers are compared with vanilla's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.render.summary import HIT, lane_rows, same_answer
from app.render.text import format_number, one_line, shorten
from models.engine.record import Comparison

SOONER = 1.1  # least speed-up that is worth a sentence
LONGEST = 60  # characters of an answer that is quoted
PLACE = re.compile(
    r"^(?:find|locate|where (?:is|are)|point (?:at|to)|show(?: me)?)\s+(.+?)[\s.?!]*$", re.I
)


@dataclass(frozen=True)
class Outcome:
    """One lane in the words of the headline."""

    name: str
    right: bool
    kept: int  # visual tokens, averaged over LLM layers
    total: int
    pruned: bool  # the count changes inside the LLM
    answer: str
    speedup: float | None  # of the first token, against vanilla
    runs: int  # of which it is the median


def is_right(row: Mapping[str, Any]) -> bool | None:
    """Whether a row of `lane_rows` is right; None if the truth is not known or the lane failed."""
    if row["failure"] is not None:
        return None
    overlap: float | None = row["iou"]
    exact: bool | None = row["exact_match"]
    return exact if overlap is None else overlap >= HIT


def headline(comparison: Comparison, timed: bool = True) -> str:
    """One to three sentences, the last about time; "" if vanilla or all other lanes failed."""
    first, *others = lane_rows(comparison)
    if first["failure"] is not None or all(row["failure"] is not None for row in others):
        return ""
    ran = [row for row in others if row["failure"] is None]
    known = is_right(first) is not None
    outcomes = [_outcome(row, first, known) for row in ran]
    words = _Words(comparison, first, known)
    sentences = [words.sentence(first, outcomes), _sooner(outcomes) if timed else ""]
    return " ".join(filter(None, sentences))


def _outcome(row: Mapping[str, Any], vanilla: Mapping[str, Any], known: bool) -> Outcome:
    total = row["stages"][0]
    return Outcome(
        name=row["label"],
        right=bool(is_right(row)) if known else same_answer(row["answer"], vanilla["answer"]),
        kept=round(row["measured_ratio"] * total),
        total=total,
        pruned=len(row["stages"]) > 2
        or (len(row["stages"]) == 2 and row["tokens_before_llm"] == total),
        answer=row["answer"],
        speedup=row["speedup_ttft"],
        runs=row["runs"],
    )


@dataclass(frozen=True)
class _Words:
    """The verbs that suit a question: finding a box, giving an answer, or agreeing with vanilla."""

    comparison: Comparison
    vanilla: Mapping[str, Any]
    known: bool

    @property
    def boxed(self) -> bool:
        return self.vanilla["iou"] is not None

    @property
    def goal(self) -> str:
        """What is found or answered."""
        if not self.boxed:
            return quoted(self.vanilla["answer"] if not self.known else self._true)
        asked = PLACE.match(one_line(self.comparison.question))
        return shorten(asked[1], LONGEST) if asked else "what was asked for"

    @property
    def _true(self) -> str:
        truth = self.comparison.truth
        return truth.answer if truth else ""

    def succeed(self, many: bool) -> str:
        verb = "find" if self.boxed else "answer"
        return f"{verb if many else verb + 's'} {self.goal}"

    def fail(self, outcomes: Sequence[Outcome]) -> str:
        many = len(outcomes) > 1
        if self.boxed:
            return "lose it" if many else "loses it"
        first, *others = [one.answer for one in outcomes]
        if all(same_answer(first, other) for other in others):
            return f"{'answer' if many else 'answers'} {quoted(first)}"
        return f"do not {self.succeed(many)}" if self.known else "answer differently"

    def sentence(self, vanilla: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
        right = [one for one in outcomes if one.right]
        wrong = [one for one in outcomes if not one.right]
        total = f"all {vanilla['stages'][0]:,} visual tokens"
        if self.known and not is_right(vanilla):
            begin = f"With {total}, the model does not {self.succeed(many=True)}."
            if right:
                return f"{begin} {_names(right)} {_keep(right)} and {self.succeed(len(right) > 1)}."
            return f"{begin} No method here changes that."
        if right and wrong:
            return (
                f"{_names(right)} {_keep(right)} and still {self.succeed(len(right) > 1)}. "
                f"{_names(wrong)} {_keep(wrong, right)} and {self.fail(wrong)}."
            )
        if right:
            return f"{_names(right)} {_keep(right)} and still {self.succeed(len(right) > 1)}."
        return (
            f"With {total}, the model {self.succeed(many=False)}. "
            f"{_names(wrong)} {_keep(wrong)} and {self.fail(wrong)}."
        )


def _names(outcomes: Sequence[Outcome]) -> str:
    *first, last = [one.name for one in outcomes]
    return f"{', '.join(first)} and {last}" if first else last


def _keep(outcomes: Sequence[Outcome], other: Sequence[Outcome] = ()) -> str:
    """ "keeps 64 of 576 visual tokens", or "keeps as many" where `other` keeps the same."""
    verb = "keep" if len(outcomes) > 1 else "keeps"
    counts = sorted({one.kept for one in outcomes})
    if other and {one.kept for one in other} == set(counts):
        return f"{verb} as many"
    span = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    if other:
        return f"{verb} {span}"
    average = " on average" if any(one.pruned for one in outcomes) else ""
    return f"{verb} {span} of {outcomes[0].total:,} visual tokens{average}"


def _sooner(outcomes: Sequence[Outcome]) -> str:
    """The largest speed-up among the right lanes, or among all if none is right."""
    timed = [one for one in outcomes if one.speedup is not None]
    timed = [one for one in timed if one.right] or timed
    best = max(timed, key=lambda one: one.speedup or 0, default=None)
    if best is None or best.speedup is None or best.speedup < SOONER:
        return ""
    factor = format_number(best.speedup, 2)
    run = "in this one run" if best.runs == 1 else f"the median of {best.runs} runs"
    return f"{best.name} gives its first token {factor} times as soon, {run}."


def quoted(text: str) -> str:
    """In quotation marks, without its full stop: the sentence has its own."""
    return f"“{shorten(one_line(text).rstrip('.'), LONGEST)}”" if one_line(text) else "nothing"
