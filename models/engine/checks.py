"""Checks a lane's question, gaze and upload before anything runs."""

from __future__ import annotations

import math

from pruning.base import Needs
from pruning.errors import ExplainedError, UnsupportedError

MAX_QUESTION = 2_000
MAX_GAZE = 500  # points of gaze: a mouse trail of a minute
Gaze = tuple[tuple[float, float, float], ...]  # x, y as fractions of the picture, and seconds
NOUNS = {"image": "a picture", "video": "a clip"}


def check_kind(title: str, role: str, able: frozenset[str], kind: str) -> None:
    """Raises `UnsupportedError` if a method or model (`role`) does not accept a kind of upload."""
    if kind not in able:
        accepted = " or ".join(NOUNS[each] for each in sorted(able))
        raise UnsupportedError(
            f"{title} takes {accepted}, and {NOUNS[kind]} came: "
            f"upload {accepted}, or choose another {role}."
        )


def check_question(question: str) -> str:
    """The question without surrounding space. Raises `ExplainedError` if it cannot be used."""
    question = question.strip()
    if not question:
        raise ExplainedError("The question is empty; ask something about the upload.")
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise ExplainedError("The question contains bytes that are not text; send UTF-8.")
    if len(question) > MAX_QUESTION:
        raise ExplainedError(
            f"The question has {len(question):,} characters; the limit is {MAX_QUESTION:,}: "
            "shorten it."
        )
    return question


def check_gaze(text: str) -> Gaze:
    """Points of gaze from text such as "0.3,0.5 0.7,0.2,1.5"; without seconds, a point counts 1."""
    points = text.split()
    if len(points) > MAX_GAZE:
        raise ExplainedError(f"Gaze has {len(points)} points, the limit is {MAX_GAZE}: send fewer.")
    return tuple(map(_check_point, points))


def _check_point(text: str) -> tuple[float, float, float]:
    numbers = text.split(",")
    try:
        x, y, seconds = map(float, numbers if len(numbers) > 2 else [*numbers, "1"])
    except ValueError:
        x = y = seconds = math.nan
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < seconds < 3600):
        raise ExplainedError(
            f"A point of gaze is {text[:80]!r}, wanted x,y or x,y,seconds: x and y from 0 to 1, "
            "seconds above 0 and below 3600."
        )
    return x, y, seconds


def check_unattended(title: str, needs: Needs) -> None:
    """Raises `UnsupportedError` for a method that needs a gaze, in runs of questions only.

    A gaze at the true box would give the answer away.
    """
    if "gaze" in needs.request:
        raise UnsupportedError(
            f"{title} needs to know where a person looks, and a set of questions has no gaze: "
            "compare it on the page, with clicks on the picture."
        )


def check_looked(title: str, gaze: Gaze) -> Gaze:
    """Raises `UnsupportedError` if no gaze came for a method that needs it."""
    if not gaze:
        raise UnsupportedError(
            f"{title} needs to know where you look, and no gaze came: click on the picture, or "
            "send points of gaze, such as 0.3,0.5."
        )
    return gaze
