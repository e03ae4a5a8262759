"""Chooses and orders the cases of a run; a filter is also an address: `?wrong=nuwa%400.111`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints
from urllib.parse import parse_qs, urlencode

import numpy as np
import pandas as pd

from app.cases.people import Remark
from app.cases.store import Run
from app.cases.why import REASONS

SIZES = {"small": (0, 0.04), "medium": (0.04, 0.16), "large": (0.16, 1.01)}  # share of the picture
SORTS = ("", "iou_drop", "tokens", "size", "answer")
SHOWS = {
    "": "all cases",
    "differ": "answers differ",
    "all_wrong": "all wrong",
    "failed": "a lane failed",
}
VANILLA = "vanilla"
NO_VERDICT = "no verdict yet"


@dataclass(frozen=True)
class Filter:
    """Conditions on the cases to show; an empty field is no condition."""

    right: tuple[str, ...] = ()  # lanes that are right
    wrong: tuple[str, ...] = ()  # lanes that are wrong
    show: str = ""  # of `SHOWS`
    kind: str = ""
    tag: str = ""
    verdict: str = ""  # of a person, or `NO_VERDICT`
    size: str = ""  # of `SIZES`
    reason: str = ""  # of `REASONS`, in `lane`, where vanilla is right and `lane` is wrong
    iou_drop: float = 0.0  # at least, from vanilla to `lane`
    lane: str = ""  # default: the first after vanilla
    text: str = ""  # in question, answers, notes
    sort: str = ""  # of `SORTS`

    def __post_init__(self) -> None:
        for name, wanted in (
            ("show", SHOWS),
            ("size", SIZES),
            ("reason", REASONS),
            ("sort", SORTS),
        ):
            value = getattr(self, name)
            if value and value not in wanted:
                accepted = ", ".join(filter(None, wanted))
                raise ValueError(f"{name} is {value[:40]!r}, wanted one of {accepted}.")

    @property
    def by_answers(self) -> bool:
        """Whether a case passes by its answers, or by what a person found in them.

        Its lanes then differ by choice.
        """
        answers = self.right, self.wrong, self.show, self.reason, self.iou_drop, self.text
        return any(answers) or bool(self.tag) or self.verdict not in ("", NO_VERDICT)

    @property
    def query(self) -> str:
        """The filter as the part of an address after the question mark."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return urlencode({name: value for name, value in values.items() if value}, doseq=True)


def parse_filter(query: str | Mapping[str, Any]) -> Filter:
    """The filter of an address, other parameters left out. Raises `ValueError`."""
    if isinstance(query, str):
        given: Mapping[str, Any] = parse_qs(query.lstrip("?"), max_num_fields=50)
    else:
        given = {k: v if isinstance(v, (list, tuple)) else [v] for k, v in query.items()}
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(Filter).items():
        if given.get(name):
            try:
                many = kind not in (str, float)
                values[name] = tuple(map(str, given[name])) if many else kind(given[name][-1])
            except ValueError:
                raise ValueError(f"{name} is {given[name][-1]!r}, wanted a number.") from None
    return Filter(**values)


class Table:
    """The cases of a run, one row each, with the figures of each lane as (cases, lanes) frames."""

    def __init__(self, run: Run, remarks: Mapping[str, Remark]) -> None:
        self.run, self.lanes, self.remarks = run, run.lanes, remarks
        cases = pd.DataFrame(
            {
                "question": case.question,
                "answers": " | ".join(case.answers),
                "kind": case.kind,
                "tags": (*case.tags, *remarks.get(case.id, Remark()).tags),
                "verdict": remarks.get(case.id, Remark()).verdict,
                "note": remarks.get(case.id, Remark()).note,
                "size": np.nan if case.size is None else case.size,
                "metric": case.metric,
            }
            for case in run.cases.values()
        )
        cases.index = pd.Index(list(run.cases), name="case")
        self.cases = cases[cases.index.isin(run.results.case.unique())]
        self._figures: dict[str, pd.DataFrame] = {}
        self._wide = run.results.drop_duplicates(["case", "lane"]).set_index(["case", "lane"])

    def figure(self, name: str) -> pd.DataFrame:
        """A figure of `FIGURES`: a row for each case, a column for each lane."""
        if name not in self._figures:
            wide = self._wide[name].unstack("lane")
            wide = wide.reindex(index=self.cases.index, columns=self.lanes)
            self._figures[name] = wide.where(self._explained()) if name == "reason" else wide
        return self._figures[name]

    def _explained(self) -> pd.DataFrame:
        """Which answers have a reason: wrong ones where vanilla is right.

        In a run without vanilla, all wrong answers have one.
        """
        right = self.figure("right")
        wrong: pd.DataFrame = right == False  # noqa: E712
        if VANILLA not in self.lanes:
            return wrong
        return wrong.mul(right[VANILLA] == True, axis=0)  # noqa: E712

    def lanes_of(self, case_id: str) -> list[str]:
        """The lanes that a case has: not all, where comparisons were kept or a log is short."""
        failures, answers = self.figure("failure").loc[case_id], self.figure("answer").loc[case_id]
        return [one for one in self.lanes if pd.notna(answers[one]) or pd.notna(failures[one])]

    def choose(self, asked: Filter) -> list[str]:
        """Ids of the cases that pass, in order. Raises `ValueError` for an unknown lane."""
        lane = asked.lane or self._first_method()
        for name in (lane, *asked.right, *asked.wrong):
            if name not in self.lanes:
                raise ValueError(
                    f"There is no lane {name[:60]!r}; there are {', '.join(self.lanes)}."
                )
        passed = self._pass(asked, lane)
        return self._sort(self.cases.index[passed.to_numpy(bool)], asked.sort, lane)

    def neighbours(self, asked: Filter, case_id: str, chosen: Sequence[str]) -> tuple[str, str]:
        """The chosen cases before and after a case, "" where there is none.

        A case that a remark moved out of the filter keeps its place in the order.
        """
        lane = asked.lane or self._first_method()
        order = self._sort(self.cases.index, asked.sort, lane)
        at, passed = order.index(case_id), set(chosen)
        before = next((one for one in reversed(order[:at]) if one in passed), "")
        return before, next((one for one in order[at + 1 :] if one in passed), "")

    def _pass(self, asked: Filter, lane: str) -> pd.Series:
        cases, right = self.cases, self.figure("right")
        passed = pd.Series(True, index=cases.index)
        for name in asked.right:
            passed &= right[name] == True  # noqa: E712  None is neither
        for name in asked.wrong:
            passed &= right[name] == False  # noqa: E712
        if asked.show == "differ":
            passed &= self.figure("answer").nunique(axis=1) > 1
        elif asked.show == "all_wrong":
            passed &= ((right == False) | right.isna()).all(axis=1) & right.notna().any(axis=1)  # noqa: E712
        elif asked.show == "failed":
            passed &= self.figure("failure").notna().any(axis=1)
        if asked.kind:
            passed &= cases.kind == asked.kind
        if asked.verdict:
            passed &= cases.verdict == ("" if asked.verdict == NO_VERDICT else asked.verdict)
        if asked.tag:
            passed &= cases.tags.map(lambda tags: asked.tag in tags).astype(bool)
        if asked.size:
            low, high = SIZES[asked.size]
            passed &= (cases["size"] >= low) & (cases["size"] < high)
        if asked.reason:
            passed &= self.figure("reason")[lane] == asked.reason
        if asked.iou_drop:
            passed &= self.iou_drop(lane) >= asked.iou_drop
        if asked.text:
            passed &= self._has(asked.text)
        return passed

    def iou_drop(self, lane: str) -> pd.Series:
        iou = self.figure("iou")
        return iou[VANILLA] - iou[lane] if VANILLA in iou else 0 * iou[lane]

    def _first_method(self) -> str:
        return next((one for one in self.lanes if one != VANILLA), VANILLA)

    def _sort(self, cases: pd.Index, sort: str, lane: str) -> list[str]:
        order = self._order(sort, lane)
        if order is not None:
            cases = order.loc[cases].sort_values(ascending=False, kind="stable").index
        return list(cases)

    def _order(self, sort: str, lane: str) -> pd.Series | None:
        if sort == "iou_drop":
            return self.iou_drop(lane)
        if sort == "tokens":
            return self.figure("kept")[lane]
        if sort == "size":
            return self.cases["size"]
        return self.figure("answer")[lane] if sort == "answer" else None

    def _has(self, text: str) -> pd.Series:
        columns: Sequence[pd.Series] = [
            self.cases[name].astype(str) for name in ("question", "answers", "note")
        ] + [self.figure("answer")[lane].fillna("").astype(str) for lane in self.lanes]
        found = pd.Series(False, index=self.cases.index)
        for column in columns:
            found |= column.str.contains(text, case=False, regex=False)
        return found
