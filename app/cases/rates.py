"""Rates of the lanes over chosen cases: scores by name, 95 % intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from app.cases.filters import SIZES, VANILLA, Filter, Table
from app.cases.scores import THRESHOLDS, yes_no
from app.render.table import text_table
from app.significance import holm, mcnemar, wilson

SHARES = (0.0, 1e-9, 0.25, 0.5, 0.75, 1.01)  # bounds of the share kept, a float32
SHARE_NAMES = ("none", "to 25 %", "to 50 %", "to 75 %", "to all")


def summarize(table: Table, asked: Filter, chosen: Sequence[str]) -> dict[str, Any]:
    """All rates over the chosen cases, JSON-able; a rate is None where no case has its metric.

    A lane that failed is in no rate: `failed` counts them. Where the filter asks for answers,
    there is no test between lanes: its p would be that of the choice.
    """
    cases, right = table.cases.loc[list(chosen)], table.figure("right").loc[list(chosen)]
    failed = table.figure("failure").loc[list(chosen)].notna()
    return {
        "cases": len(cases),
        "lanes": [_lane(table, cases, lane) for lane in table.lanes],
        "pairs": _pairs(right, table.lanes, tested=not asked.by_answers),
        "kinds": _groups(right, failed, cases.kind),
        "sizes": _groups(right, failed, _named(cases["size"], SIZES), tuple(SIZES)),
        "kept": _by_share(table, cases, right),
    }


def _lane(table: Table, cases: pd.DataFrame, lane: str) -> dict[str, Any]:
    def of(name: str) -> pd.Series:
        return table.figure(name)[lane].loc[cases.index]

    scores, iou, failed = of("score"), of("iou").dropna(), of("failure").notna()
    by_metric = {
        str(metric): float(scores[cases.metric == metric].mean())
        for metric in sorted(set(cases.metric[scores.notna()]) - {"iou", ""})
    }
    boxes = {f"acc@{limit}": float((iou >= limit).mean()) for limit in THRESHOLDS}
    inside = of("centre")[iou.index] == True  # noqa: E712
    boxes |= {"iou": float(iou.mean()), "center_acc": float(inside.mean())}
    return {
        "lane": lane,
        "failed": int(failed.sum()),
        **_rate(of("right")),
        **by_metric,
        **(boxes if len(iou) else {}),
        **_pope(cases, of("answer")),
        "retention": _mean(of("ratio")),
        "ttft_ms": _median(of("ttft_ms")),
        "total_ms": _median(of("total_ms")),
    }


def _rate(right: pd.Series) -> dict[str, Any]:
    known = right.dropna()
    count, of = int((known == True).sum()), len(known)  # noqa: E712
    low, high = wilson(count, of)
    rate = count / of if of else None
    return {"scored": of, "right": rate, "low": low if of else None, "high": high if of else None}


def _pope(cases: pd.DataFrame, answers: pd.Series) -> dict[str, float | None]:
    """Precision, recall and F1 of "yes", and how often the lane says it, as POPE reports them."""
    asked = cases.index[(cases.metric == "yes_no") & answers.notna()]  # not of a failed lane
    if not len(asked):
        return {}
    true = cases.answers[asked].map(yes_no) == "yes"
    given = answers[asked].map(yes_no) == "yes"
    hits = int((true & given).sum())
    said, wanted = int(given.sum()), int(true.sum())
    return {
        "precision": hits / said if said else None,
        "recall": hits / wanted if wanted else None,
        "f1": 2 * hits / (said + wanted) if said + wanted else None,
        "yes": said / len(asked),
    }


def _pairs(right: pd.DataFrame, lanes: Sequence[str], tested: bool) -> list[dict[str, Any]]:
    """Vanilla × each lane: both right, one alone, none; McNemar's exact p, adjusted by Holm."""
    pairs = []
    for lane in lanes if VANILLA in lanes else ():
        both = right[[VANILLA, lane]].dropna().astype(bool)
        if lane == VANILLA or not len(both):
            continue
        one, other = both[VANILLA].to_numpy(), both[lane].to_numpy()
        vanilla_alone, lane_alone, p = mcnemar(one, other)
        pairs.append(
            {
                "lane": lane,
                "both": int((one & other).sum()),
                "vanilla_alone": vanilla_alone,
                "lane_alone": lane_alone,
                "none": int((~one & ~other).sum()),
                "p": p,
            }
        )
    for pair, p in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair |= {"p_holm": p} if tested else {"p": None, "p_holm": None}
    return pairs


def _groups(
    right: pd.DataFrame, failed: pd.DataFrame, group: pd.Series, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rate of each lane in each group of cases."""
    return [
        {
            "group": str(name),
            "lane": lane,
            "failed": int(failed.loc[group == name, lane].sum()),
            **_rate(right.loc[group == name, lane]),
        }
        for name in names or sorted(group[group.notna() & (group != "")].unique())
        for lane in right
        if (group == name).any()
    ]


def _by_share(table: Table, cases: pd.DataFrame, right: pd.DataFrame) -> list[dict[str, Any]]:
    """The rate of each lane by the share of the object's tokens that it keeps."""
    kept, rows = table.figure("object_kept").loc[cases.index], []
    for name, (low, high) in zip(SHARE_NAMES, pairwise(SHARES), strict=True):
        for lane in (one for one in table.lanes if one != VANILLA):
            within = kept.index[(kept[lane] >= low) & (kept[lane] < high)]
            if len(within):
                rate = _rate(right.loc[within, lane])
                # A failed lane has no share of tokens.
                rows.append({"group": name, "lane": lane, "failed": 0, **rate})
    return rows


def _named(values: pd.Series, bounds: dict[str, tuple[float, float]]) -> pd.Series:
    named = pd.Series("", index=values.index)
    for name, (low, high) in bounds.items():
        named[(values >= low) & (values < high)] = name
    return named


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if values.notna().any() else None


def _median(values: pd.Series) -> float | None:
    return float(np.nanmedian(values)) if values.notna().any() else None


def text_of(summary: dict[str, Any]) -> str:
    """The rates as fixed-width tables."""
    names = {name: None for lane in summary["lanes"] for name in lane}
    skipped = ("lane", "low", "high", "right", "scored", "failed")
    columns = [name for name in names if name not in skipped]
    rows = [
        [
            lane["lane"],
            interval_text(lane),
            str(lane["failed"]),
            *(_figure(name, lane.get(name)) for name in columns),
        ]
        for lane in summary["lanes"]
    ]
    parts = [
        f"{summary['cases']:,} cases",
        text_table(["lane", "right (95 %)", "failed", *columns], rows),
    ]
    counts = ("both", "vanilla_alone", "lane_alone", "none")
    pairs = [
        [pair["lane"], *(str(pair[name]) for name in counts), p_text(pair["p_holm"])]
        for pair in summary["pairs"]
    ]
    if pairs:
        tested = summary["pairs"][0]["p_holm"] is not None
        parts.append(f"Against vanilla: {TEST if tested else UNTESTED}.")
        parts.append(text_table([*PAIR_HEAD], pairs))
    for name, title in TITLES.items():
        table = [
            [g["group"], g["lane"], str(g["scored"]), str(g["failed"]), interval_text(g)]
            for g in summary[name]
        ]
        if table:
            parts.append(text_table([title, "lane", "cases", "failed", "right (95 %)"], table))
    return "\n\n".join(parts)


UNKNOWN = "–"
TEST = "McNemar's exact test, p adjusted by Holm"
UNTESTED = "no test, because the filter chooses by answers"
PAIR_HEAD = ("lane", "both right", "vanilla alone", "lane alone", "none", "p")
TITLES = {"kinds": "kind", "sizes": "object's size", "kept": "object's tokens kept"}


def interval_text(rate: Mapping[str, Any]) -> str:
    """ "0.825 (0.68–0.91)"."""
    if rate["right"] is None:
        return UNKNOWN
    return f"{rate['right']:.3f} ({rate['low']:.2f}–{rate['high']:.2f})"


def p_text(p: float | None) -> str:
    return UNKNOWN if p is None else f"{p:.2g}"


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if name.endswith("_ms") else f"{value:.3f}"
