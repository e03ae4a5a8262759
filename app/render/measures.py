"""Charts and tables of an analysis: one line a lane over the layers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.render.chart import Spec, data, field, mark, style_chart
from app.render.headline import is_right
from app.render.palette import lane_colours
from app.render.staircase import DASHES
from app.render.summary import conditions_line, finished_lanes, lane_labels, verdict
from app.render.table import text_table
from app.render.text import escape_formula
from models.engine.record import Blocked, Comparison, LaneResult

HEIGHT, LOW = 200, 150


@dataclass(frozen=True)
class Measure:
    """How one curve of a `LaneAnalysis` is presented."""

    title: str
    axis: str
    text: str  # two sentences
    formula: str
    baseline: str = ""  # the curve of a random choice
    encoder: bool = False  # whether encoder layers have it too


MEASURES = {
    "answer_flow": Measure(
        "Attention flow to the answer",
        "share of attention",
        "The share of the answering rows' attention that lies on visual tokens. "
        "The rest lies on text.",
        "mean over heads and answer tokens of Σ A over visual tokens",
    ),
    "answer_gradient_flow": Measure(
        "Attention flow weighted by its gradient",
        "weighted attention",
        "The same attention, counted only where more of it makes the answer more likely. "
        "It is high in layers where attention to the picture raises the answer's probability.",
        "mean over heads and answer tokens of Σ relu(A ⊙ ∂y/∂A), y = log-probability of the answer",
    ),
    "text_flow": Measure(
        "Attention flow to the question",
        "share of attention",
        "The share of the question's attention that lies on visual tokens. "
        "The words of the template after the upload count as question.",
        "mean over heads and question rows of Σ A over visual tokens",
    ),
    "text_gradient_flow": Measure(
        "Question's flow weighted by its gradient",
        "weighted attention",
        "The question's attention on visual tokens, counted where it makes the answer more likely. "
        "It is zero in layers whose question rows the answer no longer reads.",
        "mean over heads and question rows of Σ relu(A ⊙ ∂y/∂A)",
    ),
    "entropy_share": Measure(
        "Visual Attention Entropy",
        "share of the largest",
        "How evenly visual tokens attend to other visual tokens: 1 is even, 0 is one token. "
        "In the LLM these are the tokens before it; in the encoder, all others of its view.",
        "VAE = mean over i of −Σ p(v_j|v_i) log2 p(v_j|v_i), divided by its largest value",
        encoder=True,
    ),
    "cohesion": Measure(
        "Object-Centric Cohesion",
        "IoU with the object",
        "Overlap of the most attended visual tokens with the object's, as many as the lane has. "
        "The dotted line is a random choice of as many.",
        "OCC = |top-k ∩ object| / |top-k ∪ object|, k = tokens of the object in this layer",
        baseline="cohesion_random",
        encoder=True,
    ),
    "cohesion_fixed": Measure(
        "Object-Centric Cohesion, k = 16",
        "IoU with the object",
        "The same with the 16 most attended visual tokens, in layers with more than 16. "
        "The dotted line is a random choice of as many.",
        "OCC with k = 16",
        baseline="cohesion_fixed_random",
    ),
    "rank": Measure(
        "Effective rank of the visual states",
        "directions",
        "How many independent directions the visual states span in each layer. "
        "It falls where tokens become alike.",
        "exp(−Σ p log p), p the singular values divided by their sum",
    ),
}


def points(comparison: Comparison, name: str, encoder: bool = False) -> list[dict[str, Any]]:
    """One record per lane and layer that has a value of the curve."""
    return [
        {"lane": label, "layer": layer, "value": float(value)}
        for label, curve in curves(comparison, name, encoder)
        for layer, value in enumerate(curve)
        if np.isfinite(value)
    ]


def curves(
    comparison: Comparison, name: str, encoder: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """A curve of each lane that has it, with the lane's label; NaN in layers without a value."""
    for label, lane in finished_lanes(comparison):
        if lane.analysis is not None:
            found = lane.analysis.encoder_curves if encoder else lane.analysis.curves
            if name in found:
                yield label, found[name]


def measure_chart(
    comparison: Comparison, name: str, encoder: bool = False, compact: bool = False
) -> Spec:
    """A line a lane over the layers of the LLM or of the encoder, with the random baseline.

    A compact chart is lower and has no legend, for a page that names the colours beside it.
    """
    measure, values = MEASURES[name], points(comparison, name, encoder)
    labels = [label for label, _ in finished_lanes(comparison)]
    colours = lane_colours([lane.method for lane in comparison.lanes])
    looks = dict(zip(lane_labels(comparison), colours, strict=True))
    lane = {"domain": labels, "range": [looks[label] for label in labels]}
    deepest = max([1, *(len(curve) - 1 for _, curve in curves(comparison, name, encoder))])
    axis = {"tickCount": min(deepest, 8), "format": "d", "grid": False}
    # The layers fill the width exactly: the page finds the layer under the pointer by its place.
    wide = {"domain": [0, deepest], "nice": False}
    legend = None if compact else {"title": None, "orient": "bottom"}
    place = {
        "x": field(
            "layer:Q", title=f"{'encoder' if encoder else 'LLM'} layer", axis=axis, scale=wide
        ),
        "y": field("value:Q", title=measure.axis, scale={"zero": True}, axis={"tickCount": 5}),
        "color": field("lane:N", scale=lane, legend=legend),
    }
    dashes = {"domain": labels, "range": DASHES[: len(labels)]}
    about = [field("lane:N"), field("layer:Q"), field("value:Q", format=".3f")]
    lines = [
        {
            **data(values),
            **mark("line", strokeWidth=2, point={"filled": True, "size": 36}),
            "encoding": place
            | {"strokeDash": field("lane:N", scale=dashes, legend=None), "tooltip": about},
        }
    ]
    if measure.baseline:
        lines.append(
            {
                **data(points(comparison, measure.baseline, encoder)),
                **mark("line", strokeWidth=1, strokeDash=[2, 3], opacity=0.7),
                "encoding": place,
            }
        )
    return style_chart({"layer": lines}, conditions_line(comparison), LOW if compact else HEIGHT)


def seconds_line(comparison: Comparison) -> str:
    """How long the analysis of each lane took, after the lane's own time."""
    parts = [
        f"{label} {lane.analysis.seconds:.2f} s after {lane.timeline.total:.2f} s of the lane"
        for label, lane in finished_lanes(comparison)
        if lane.analysis is not None
    ]
    return f"Analysis: {', '.join(parts)}."


def to_csv(comparison: Comparison) -> str:
    """Every value of every curve: lane, part, layer, measure, value.

    A layer without a value has no row: cohesion where no object is known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lane", "part", "layer", "measure", "value"])
    for label, lane in finished_lanes(comparison):
        if lane.analysis is None:
            continue
        parts = {"llm": lane.analysis.curves, "encoder": lane.analysis.encoder_curves}
        for part, curves in parts.items():
            for name, values in curves.items():
                writer.writerows(
                    [label, part, layer, name, f"{value:.6g}"]
                    for layer, value in enumerate(values)
                    if np.isfinite(value)
                )
    return text.getvalue()


def curves_table(comparison: Comparison, name: str) -> str:
    """One line a lane: the curve over the LLM's layers."""
    lanes = [(label, lane.analysis) for label, lane in finished_lanes(comparison) if lane.analysis]
    rows = [
        [label, *(f"{value:.2f}" if np.isfinite(value) else "–" for value in each.curves[name])]
        for label, each in lanes
    ]
    layers = max((len(row) - 1 for row in rows), default=0)
    return text_table([MEASURES[name].title, *map(str, range(layers))], rows, numbers=True)


def is_cell_right(comparison: Comparison, lane: LaneResult, blocked: Blocked) -> bool | None:
    """Whether a lane's blocked answer is right; None if the truth is not known."""
    answered = replace(lane, answer=blocked.answer, boxes=blocked.boxes)
    return is_right({"failure": None, **verdict(comparison, answered)})


def blocking_csv(comparison: Comparison) -> str:
    """Every blocked cell: lane, source, hidden rows, layers, probability, answer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lane", "source", "hidden", "first", "last", "probability", "answer", "right"])
    for label, lane in finished_lanes(comparison):
        for one in lane.analysis.blocked if lane.analysis else ():
            source, (first, after), hidden = one.cell
            ratio, answer = f"{one.probability_ratio:.6g}", escape_formula(one.answer)
            right = {True: "yes", False: "no", None: ""}[is_cell_right(comparison, lane, one)]
            writer.writerow([label, source, hidden, first, after - 1, ratio, answer, right])
    return text.getvalue()


def blocking_table(comparison: Comparison) -> str:
    """One line a cell: the answer without some edges, and its own answer's probability."""
    rows = [
        [
            label,
            f"{one.cell.source} → {one.cell.target}",
            f"{one.cell.layers[0]}–{one.cell.layers[1] - 1}",
            f"× {one.probability_ratio:.3g}",
            one.answer,
        ]
        for label, lane in finished_lanes(comparison)
        for one in (lane.analysis.blocked if lane.analysis else ())
    ]
    return text_table(["Lane", "blocked", "LLM layers", "probability", "answer then"], rows)
