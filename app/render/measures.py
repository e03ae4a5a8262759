"""Charts and tables of an analysis: one line a lane over the layers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.render.chart import Spec, data, field, mark, style_chart
from app.render.palette import lane_colours
from app.render.staircase import DASHES
from app.render.summary import conditions_line, finished_lanes, lane_labels
from app.render.table import text_table
from models.engine.record import Comparison

HEIGHT = 200


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
        "Where it falls, the model has read what it needs from the picture.",
        "mean over heads and answer tokens of Σ A over visual tokens",
    ),
    "answer_gradient_flow": Measure(
        "Attention flow weighted by its gradient",
        "weighted attention",
        "The same attention, counted only where more of it makes the answer more likely. "
        "It shows in which layers the picture decides the answer.",
        "mean over heads and answer tokens of Σ relu(A ⊙ ∂y/∂A), y = log-probability of the answer",
    ),
    "text_flow": Measure(
        "Attention flow to the question",
        "share of attention",
        "The share of the question's attention that lies on visual tokens. "
        "Early layers carry the picture into the words of the question.",
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
        "In the LLM a token sees only those before it; in the encoder it sees all others.",
        "VAE = mean over i of −Σ p(v_j|v_i) log2 p(v_j|v_i), divided by its largest value",
        encoder=True,
    ),
    "cohesion": Measure(
        "Object-Centric Cohesion",
        "IoU with the object",
        "Overlap of the most attended visual tokens with the object's tokens, as many as it has. "
        "The dotted line is a random choice of as many.",
        "OCC = |top-k ∩ object| / |top-k ∪ object|, k = tokens of the object",
        baseline="cohesion_random",
        encoder=True,
    ),
    "cohesion_fixed": Measure(
        "Object-Centric Cohesion, k = 16",
        "IoU with the object",
        "The same with the 16 most attended visual tokens, whatever the object's size. "
        "The dotted line is a random choice of 16.",
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
    found = []
    for label, lane in finished_lanes(comparison):
        analysis = lane.analysis
        curves = analysis and (analysis.encoder_curves if encoder else analysis.curves)
        if not curves or name not in curves:
            continue
        found += [
            {"lane": label, "layer": layer, "value": float(value)}
            for layer, value in enumerate(curves[name])
            if np.isfinite(value)
        ]
    return found


def measure_chart(comparison: Comparison, name: str, encoder: bool = False) -> Spec:
    """A line a lane over the layers of the LLM or of the encoder, with the random baseline."""
    measure = MEASURES[name]
    labels = [label for label, _ in finished_lanes(comparison)]
    colours = lane_colours([lane.method for lane in comparison.lanes])
    looks = dict(zip(lane_labels(comparison), colours, strict=True))
    lane = {"domain": labels, "range": [looks[label] for label in labels]}
    axis = {"tickMinStep": 1, "format": "d", "grid": False}
    place = {
        "x": field("layer:Q", title=f"{'encoder' if encoder else 'LLM'} layer", axis=axis),
        "y": field("value:Q", title=measure.axis, scale={"zero": True}),
        "color": field("lane:N", scale=lane, legend={"title": None, "orient": "bottom"}),
    }
    dashes = {"domain": labels, "range": DASHES[: len(labels)]}
    about = [field("lane:N"), field("layer:Q"), field("value:Q", format=".3f")]
    layers = [
        {
            **data(points(comparison, name, encoder)),
            **mark("line", strokeWidth=2, point={"filled": True, "size": 36}),
            "encoding": place
            | {"strokeDash": field("lane:N", scale=dashes, legend=None), "tooltip": about},
        }
    ]
    if measure.baseline:
        layers.append(
            {
                **data(points(comparison, measure.baseline, encoder)),
                **mark("line", strokeWidth=1, strokeDash=[2, 3], opacity=0.7),
                "encoding": place,
            }
        )
    return style_chart({"layer": layers}, conditions_line(comparison), HEIGHT)


def to_csv(comparison: Comparison) -> str:
    """Every value of every curve: lane, part, layer, measure, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lane", "part", "layer", "measure", "value"])
    for label, lane in finished_lanes(comparison):
        if lane.analysis is None:
            continue
        parts = {"llm": lane.analysis.curves, "encoder": lane.analysis.encoder_curves}
        for part, curves in parts.items():
            for name, values in curves.items():
                rows = ([label, part, at, name, f"{value:.6g}"] for at, value in enumerate(values))
                writer.writerows(rows)
    return text.getvalue()


def curves_table(comparison: Comparison, name: str) -> str:
    """One line a lane: the curve over the LLM's layers."""
    lanes = [(label, lane.analysis) for label, lane in finished_lanes(comparison) if lane.analysis]
    rows = [[label, *(f"{value:.2f}" for value in each.curves[name])] for label, each in lanes]
    layers = max((len(row) - 1 for row in rows), default=0)
    return text_table([MEASURES[name].title, *map(str, range(layers))], rows, numbers=True)


def blocking_table(comparison: Comparison) -> str:
    """One line a cell: the answer without some edges, and its own answer's probability."""
    rows = [
        [
            label,
            f"{cell.source} → visual",
            f"{cell.layers[0]}–{cell.layers[1] - 1}",
            f"× {cell.probability_ratio:.3g}",
            cell.answer,
        ]
        for label, lane in finished_lanes(comparison)
        for cell in (lane.analysis.blocked if lane.analysis else ())
    ]
    return text_table(["Lane", "blocked", "LLM layers", "probability", "answer then"], rows)
