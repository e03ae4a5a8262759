"""Converts a table row to the fields of a case; accepts the column names of common data sets."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cases.record import Box
from app.cases.scores import METRICS, letter, metric_for, yes_no
from models.engine.checks import check_question

COLUMNS = {  # field: names of its column, the first that a row has counts
    "picture": ("file", "file_name", "image_path", "image", "picture", "video"),
    "question": ("question", "query", "prompt"),
    "locate": ("locate", "expression", "caption"),
    "answers": ("answers", "answer", "label", "target"),
    "box": ("box",),  # xyxy
    "bbox": ("bbox",),  # xywh, as in COCO
    "kind": ("kind", "question_type", "category", "type"),
    "tags": ("tags",),
    "metric": ("metric",),
    "options": ("options", "choices"),
    "hint": ("hint",),
}
LETTERS = "ABCDEFGH"
WANTED = "wanted file (or image) and question (or locate); answer, box, kind and tags may follow"


@dataclass(frozen=True)
class Cells:
    """A row in the words of this project; its picture is not read yet."""

    picture: str | bytes  # a path, the index of another row, or the bytes of a file
    question: str
    locate: bool
    answers: tuple[str, ...]
    box: Box | None  # xyxy, in fractions or in pixels
    kind: str
    tags: tuple[str, ...]
    metric: str


def read_cells(row: Mapping[str, Any]) -> Cells:
    """Raises `ValueError` with one sentence for the first cell that is wrong."""
    named = {field: _first(row, names) for field, names in COLUMNS.items()}
    if named["picture"] is None or (named["question"] is None and named["locate"] is None):
        columns = ", ".join(map(str, list(row)[:12])) or "no filled column"
        raise ValueError(f"The row has {columns}; {WANTED}.")
    locate = named["question"] is None
    question = check_question(str(named["locate"] if locate else named["question"]))
    options = _options(row, named["options"])
    if options and not locate:
        question = _with_options(question, named["hint"], options)
    answers = _texts(named["answers"])
    box = _box(named["box"], named["bbox"])
    metric = str(named["metric"] or metric_for(answers, box is not None, bool(options)))
    if metric and metric not in METRICS:
        raise ValueError(f"The metric is {metric[:40]!r}, wanted one of {', '.join(METRICS)}.")
    forms = {
        "multiple_choice": (letter, "the letter of an option"),
        "yes_no": (yes_no, "yes or no"),
    }
    form, wanted = forms.get(metric, (str, ""))
    if answers and not form(answers[0]):
        raise ValueError(f"The answer is {answers[0][:40]!r}, by {metric} wanted {wanted}.")
    tags = _texts(named["tags"], split=True)
    kind = str(named["kind"] or "")
    return Cells(_picture(named["picture"]), question, locate, answers, box, kind, tags, metric)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _picture(value: Any) -> str | bytes:
    if isinstance(value, Mapping):  # an image of a Hugging Face dataset
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"The picture is a {type(value).__name__}, wanted a file name or bytes.")
    if value.isdecimal() or (len(value) < 1000 and "." in value):  # base64 has no full stop
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The picture is neither a file name nor base64.") from None


def _options(row: Mapping[str, Any], listed: Any) -> dict[str, str]:
    """Letter: text, of columns A, B, … or of a list."""
    if listed is not None:
        return dict(zip(LETTERS, _texts(listed), strict=False))
    letters = (letter for letter in LETTERS if row.get(letter) is not None)
    options = {letter: str(row[letter]) for letter in letters}
    return options if len(options) > 1 else {}


def _with_options(question: str, hint: Any, options: Mapping[str, str]) -> str:
    """The prompt of VLMEvalKit for a multiple choice."""
    lines = [f"Hint: {hint}"] if hint is not None else []
    lines += [f"Question: {question}", "Options:"]
    lines += [f"{letter}. {text}" for letter, text in options.items()]
    return "\n".join([*lines, "Please select the correct answer from the options above."])


def _texts(value: Any, split: bool = False) -> tuple[str, ...]:
    """A list, a list in JSON, or one text; `split` at commas."""
    if value is None:
        return ()
    if isinstance(value, str) and value.strip().startswith('["'):  # numbers are a box in words
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str) and split:
        value = value.split(",")
    if isinstance(value, Mapping):
        raise ValueError("An object came where a text or a list of texts is wanted.")
    many = value if isinstance(value, (list, tuple)) else [value]
    many = [one.get("answer", one) if isinstance(one, Mapping) else one for one in many]  # VQA v2
    if any(isinstance(one, Mapping) for one in many):
        raise ValueError("A list of objects without an answer came where texts are wanted.")
    return tuple(text for text in (str(one).strip() for one in many) if text)


def _box(xyxy: Any, xywh: Any) -> Box | None:
    value = xywh if xyxy is None else xyxy
    if value is None:
        return None
    if isinstance(value, str):
        value = value.strip().strip("[]()").replace(",", " ").split()
    try:
        left, top, right, bottom = map(float, value)
    except (TypeError, ValueError):
        raise ValueError(f"The box is {str(value)[:60]}, wanted four numbers.") from None
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise ValueError("The box has a side that is no finite number.")
    if xyxy is None:
        right, bottom = left + right, top + bottom
    if left >= right or top >= bottom or min(left, top) < 0:
        raise ValueError(
            f"The box is {left:g}, {top:g} to {right:g}, {bottom:g}: it encloses nothing. "
            "A box is left, top, right, bottom; a bbox is left, top, width, height."
        )
    return left, top, right, bottom
