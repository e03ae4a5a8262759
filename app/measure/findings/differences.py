"""Curves inside a compressed lane against vanilla's on the same questions, tested in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.significance import bounds, draws, holm, sign_flips, verdict

CURVES = ("answer_flow", "text_flow", "answer_gradient_flow", "entropy_share", "cohesion")
ABOVE = {"cohesion": "cohesion_random"}  # a curve is counted above that of a random choice


def differences(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By lane, curve and kind of question: means over the LLM's layers, and their difference.

    The interval is a 95 % bootstrap interval over uploads; p is of random signs of uploads,
    adjusted by Holm over all rows. The verdict is "higher", "lower" or "not decided".
    """
    rows = []
    _, *lanes = records[0]["curves"]
    for lane in lanes:
        for name in CURVES:
            for of in ("boxes", "questions"):
                asked = [record for record in records if record["box"] == (of == "boxes")]
                if found := _compare(asked, lane, name):
                    rows.append({"lane": lane, "curve": name, "of": of} | found)
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        decided = verdict(row["difference"] > 0, p)
        row["p"] = p
        row["verdict"] = {"holds": "higher", "the reverse": "lower"}.get(decided, decided)
    return rows


def _compare(records: Sequence[dict[str, Any]], lane: str, name: str) -> dict[str, Any]:
    """A row; empty if no question has a value in both lanes."""
    pairs = [_values(record, lane, name) for record in records]  # (vanilla, lane)
    known = [at for at, pair in enumerate(pairs) if np.isfinite(pair).all()]
    if not known:
        return {}
    vanilla, ours = np.array([pairs[at] for at in known]).T  # (n,)
    _, upload = np.unique([records[at]["upload"] for at in known], return_inverse=True)  # (n,)
    sums, counts = np.bincount(upload, ours - vanilla), np.bincount(upload)  # (U,)
    drawn = draws(len(sums))  # (DRAWS, U)
    low, high = bounds((drawn @ sums) / (drawn @ counts))
    return {
        "questions": len(known),
        "vanilla": float(vanilla.mean()),
        "value": float(ours.mean()),
        "difference": float((ours - vanilla).mean()),
        "interval": [low, high],
        "p": sign_flips(sums),
    }


def _values(record: dict[str, Any], lane: str, name: str) -> tuple[float, float]:
    """Vanilla's mean and the lane's over the layers where both have a value; NaN if none has."""
    both = np.array([_curve(record, one, name) for one in ("vanilla", lane)])  # (2, L)
    both = both[:, np.isfinite(both).all(0)]
    return (both[0].mean(), both[1].mean()) if both.size else (np.nan, np.nan)


def _curve(record: dict[str, Any], lane: str, name: str) -> np.ndarray:
    curves = record["curves"][lane]["llm"]
    found = np.array(curves[name], dtype=float)  # None becomes NaN
    return found - np.array(curves[ABOVE[name]], dtype=float) if name in ABOVE else found
