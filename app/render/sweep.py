"""A sweep: every method at several ratios beside vanilla, as verdicts, sentences and a chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from app.render.chart import INK, Spec, data, field, fields, mark, style_chart
from app.render.palette import VANILLA_COLOUR, lane_colours
from app.render.staircase import DASHES, SHAPES
from app.render.summary import HIT, asks_box, conditions_line, overlap, same_answer
from app.render.table import text_table
from app.render.text import NOTHING, one_line, shorten
from models.engine.record import Comparison, LaneFailure, LaneResult, Truth

HEIGHT, ROW = 220, 34  # pixels: of a chart of IoU, and of a method in a chart of verdicts
AXIS = {
    True: "retention ratio asked for",
    False: ["retention ratio asked for", "circle: right · cross: wrong · nothing: could not run"],
}
CROSS = "M-1,-1L1,1M1,-1L-1,1"
ABOUT = [
    *fields("method:N", at="ratio", verdict="verdict"),
    field("iou:Q", title="IoU", format=".2f"),
    field("said:N", title="answer"),
]
SIGNS = {"right": "✓", "wrong": "✗", "refused": NOTHING, "waiting": ""}


def percent(ratio: float) -> str:
    """A ratio in a sweep: "50 %", "5.6 %"."""
    return f"{100 * ratio:.2g} %"


@dataclass(frozen=True, eq=False)
class Point:
    """One method at one ratio."""

    ratio: float  # asked for; 1 for vanilla
    lane: LaneResult | LaneFailure
    overlap: float | None = None  # IoU with the reference's box; None where no box is asked for
    right: bool | None = None  # None if the lane did not run

    @property
    def verdict(self) -> str:
        """ "right" or "wrong"; without an answer "refused", or "waiting" if it has not run yet."""
        if self.right is None:
            return "refused" if self.reason else "waiting"
        return "right" if self.right else "wrong"

    @property
    def reason(self) -> str:
        return self.lane.reason if isinstance(self.lane, LaneFailure) else ""

    @property
    def text(self) -> str:
        """ "✓ 0.84", "✗", "–"."""
        figure = "" if self.overlap is None else f" {self.overlap:.2f}"
        return f"{SIGNS[self.verdict]}{figure}"


@dataclass(frozen=True, eq=False)
class Sweep:
    """A comparison whose lanes are vanilla, then the first method at each ratio, the second, ….

    A lane that has not run yet is a `LaneFailure` without a reason. The reference is the true
    answer, or vanilla's where that is not known.
    """

    comparison: Comparison
    ratios: tuple[float, ...]  # from the largest to the smallest

    @property
    def vanilla(self) -> Point:
        return self._point(1.0, self.comparison.lanes[0])

    @cached_property
    def rows(self) -> dict[str, list[Point]]:
        """The points of each method, by its title."""
        lanes, count = self.comparison.lanes[1:], len(self.ratios)
        starts = range(0, len(lanes), count)
        titles = _titles([one_line(lanes[start].title) for start in starts])
        return {
            title: list(map(self._point, self.ratios, lanes[start : start + count]))
            for title, start in zip(titles, starts, strict=True)
        }

    @cached_property
    def reference(self) -> Truth | None:
        """None if neither the truth nor vanilla's answer is known."""
        vanilla = self.comparison.lanes[0]
        if self.comparison.truth is not None or isinstance(vanilla, LaneFailure):
            return self.comparison.truth
        boxes = vanilla.boxes.tolist()
        return Truth(vanilla.answer, tuple(boxes[0]) if boxes else None)

    @property
    def colours(self) -> list[str]:
        """A colour for each method."""
        return lane_colours(list(self.rows))

    @cached_property
    def boxed(self) -> bool:
        """Whether boxes are compared, or else texts."""
        return self.reference is not None and asks_box(self.reference, self.comparison)

    def _point(self, ratio: float, lane: LaneResult | LaneFailure) -> Point:
        if isinstance(lane, LaneFailure) or self.reference is None:
            return Point(ratio, lane)
        if not self.boxed:
            return Point(ratio, lane, None, same_answer(lane.answer, self.reference.answer))
        found = overlap(self.reference, lane)
        return Point(ratio, lane, found, found >= HIT)


def _titles(titles: Sequence[str]) -> list[str]:
    """Unique: a title that occurs again has a number."""
    turns = (titles[:index].count(title) + 1 for index, title in enumerate(titles))
    pairs = zip(titles, turns, strict=True)
    return [f"{title} ({turn})" if turn > 1 else title for title, turn in pairs]


def sentences(sweep: Sweep) -> list[str]:
    """What vanilla answers, then the ratio down to which each method holds."""
    known = sweep.comparison.truth is not None
    if sweep.vanilla.right is None:
        first = "Vanilla did not answer."
    elif not known:
        first = "The true answer is not known, so each answer is compared with vanilla's."
    else:
        right = "right" if sweep.vanilla.right else "wrong"
        first = f"With all visual tokens, vanilla is {right}."
    return [first, *(breaking_point(title, row, known) for title, row in sweep.rows.items())]


def breaking_point(title: str, row: Sequence[Point], known: bool = True) -> str:
    """One sentence: "Nüwa holds down to 11.1 % and is wrong at 8.33 %." """
    ran = [point for point in row if point.right is not None]
    refused = [point for point in row if point.verdict == "refused"]
    if not ran:
        return f"{title}: {refused[0].reason}" if refused else f"{title} has not run yet."
    holds, fails = ("holds", "is wrong") if known else ("answers as vanilla", "differs")
    held = list(takewhile(lambda point: point.right, ran))
    later = ran[len(held) :]
    if not held:
        text = f"{title} {fails} already at {percent(ran[0].ratio)}"
    elif later:
        text = f"{title} {holds} down to {percent(held[-1].ratio)}"
        text += f" and {fails} at {percent(later[0].ratio)}"
    else:
        every = "" if refused else "at every ratio, "
        text = f"{title} {holds} {every}down to {percent(held[-1].ratio)}"
    if again := [point for point in later if point.right]:
        text += f"; it {'is right' if known else 'agrees'} again at {_list(again)}"
    return f"{text}; it cannot run at {_list(refused)}." if refused else f"{text}."


def _list(points: Sequence[Point]) -> str:
    """ "22.2 %, 11.1 % and 8.33 %"."""
    *others, last = [percent(point.ratio) for point in points]
    return f"{', '.join(others)} and {last}" if others else last


def table(sweep: Sweep) -> str:
    """Fixed-width text: a row a method, a column a ratio."""
    head = ("method", *map(percent, sweep.ratios))
    vanilla = ("Vanilla", f"{sweep.vanilla.text} with all visual tokens")
    rows = [(title, *(point.text for point in row)) for title, row in sweep.rows.items()]
    return text_table(head, [vanilla, *rows])


def records(sweep: Sweep) -> list[dict[str, Any]]:
    """One record per method and ratio, for charts and programs."""
    return list(_records(sweep))


def _records(sweep: Sweep) -> Iterator[dict[str, Any]]:
    for title, row in {"Vanilla": [sweep.vanilla], **sweep.rows}.items():
        for point in row:
            lane = point.lane if isinstance(point.lane, LaneResult) else None
            yield {
                "method": title,
                "ratio": point.ratio,
                "measured_ratio": lane and lane.trace.average,
                "verdict": point.verdict,
                "iou": point.overlap,
                "answer": lane and lane.answer,
                "reason": point.reason,
            }


def sweep_chart(sweep: Sweep) -> Spec:
    """IoU against the ratio if a box is asked for; otherwise right or wrong at each ratio."""
    points = [
        one | {"at": percent(one["ratio"]), "said": shorten(one["answer"] or "", 60)}
        for one in records(sweep)
        if one["method"] in sweep.rows and one["verdict"] in ("right", "wrong")
    ]
    order = [percent(ratio) for ratio in sweep.ratios]
    axis = {"labelAngle": 0, "grid": False}
    x = field("at:N", sort=order, title=AXIS[sweep.boxed], axis=axis, scale={"domain": order})
    chart = (_overlaps if sweep.boxed else _verdicts)(sweep, x)
    height = HEIGHT if sweep.boxed else ROW * max(1, len(sweep.rows))
    return style_chart({**data(points), **chart}, conditions_line(sweep.comparison), height)


def _overlaps(sweep: Sweep, x: Spec) -> Spec:
    y = field("iou:Q", title="IoU", scale={"domain": [0, 1]}, axis={"tickCount": 5})
    place = {"x": x, "y": y, "color": _by_method(sweep, sweep.colours)}
    dash, shape = _by_method(sweep, DASHES), _by_method(sweep, SHAPES)
    rules = [{"iou": HIT, "text": f"right from {HIT:g}"}]
    if sweep.vanilla.overlap is not None and sweep.comparison.truth is not None:
        rules.append({"iou": sweep.vanilla.overlap, "text": "vanilla"})
    name = mark("text", align="right", dy=-7, fontSize=11, color=INK)
    text = {"x": {"value": "width"}, "text": field("text:N")}
    lines = {
        **data(rules),
        "encoding": {"y": field("iou:Q")},
        "layer": [
            mark("rule", strokeDash=[3, 3], color=VANILLA_COLOUR),
            {**name, "encoding": text},
        ],
    }
    line = {**mark("line", strokeWidth=2), "encoding": place | {"strokeDash": dash}}
    points = mark("point", filled=True, size=70, opacity=1)
    found = {**points, "encoding": place | {"shape": shape, "tooltip": ABOUT}}
    return {"layer": [lines, line, found]}


def _verdicts(sweep: Sweep, x: Spec) -> Spec:
    shapes = {"domain": ["right", "wrong"], "range": ["circle", CROSS]}
    filled = {"domain": ["right", "wrong"], "range": [1, 0]}
    colour = _by_method(sweep, sweep.colours) | {"legend": None}
    return {
        **mark("point", size=110, strokeWidth=2.5, opacity=1),
        "encoding": {
            "x": x,
            "y": field("method:N", sort=list(sweep.rows), title=None, axis={"labelLimit": 150}),
            "shape": field("verdict:N", scale=shapes, legend=None),
            "fillOpacity": field("verdict:N", scale=filled, legend=None),
            "color": colour,
            "fill": colour,
            "tooltip": ABOUT,
        },
    }


def _by_method(sweep: Sweep, looks: Sequence[Any]) -> Spec:
    """A channel with a look for each method; all channels share one legend."""
    titles = list(sweep.rows)
    chosen = [looks[index % len(looks)] for index in range(len(titles))]
    legend = {"title": None, "orient": "top", "symbolStrokeWidth": 0}
    return field("method:N", scale={"domain": titles, "range": chosen}, legend=legend)
