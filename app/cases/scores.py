"""Scores one answer by the metrics of the field.

lmms-eval ties its metrics to its tasks, so the few rules that they share are written here after
their published definitions.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np

from app.cases.record import Box, Case
from models.grounding import iou

METRICS = {
    "exact_match": "the answer is a true one, without case, spaces and marks at its ends",
    "relaxed_accuracy": "a number within 5 % of the true one, other answers as above (ChartQA)",
    "vqa_accuracy": "min(1, equal answers of other people ÷ 3), averaged over people (VQA v2)",
    "yes_no": "the answer begins with the true yes or no (POPE)",
    "multiple_choice": "the answer names the true letter",
    "iou": "intersection over union of the first box with the true one; right from 0.5",
}
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of Acc@IoU
RIGHT = 0.5  # a score from which an answer counts as right
MOST_OFF = 0.05  # of relaxed accuracy, as a share of the true number
_BOX = re.compile(r"\s*\[[\d.,\s]+\]\s*$")  # an answer that writes the box
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_LETTER = re.compile(r"^\W*(?:the\s+)?(?:answer|option)?\W*(?:is)?\W*([A-H])(?![a-zA-Z])", re.I)
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(value) for value, word in enumerate(WORDS)}


def metric_for(answers: Sequence[str], boxed: bool, options: bool) -> str:
    """The metric that the form of the right answer asks for; "" where nothing is known.

    A box beside an answer in words only shows where the object is.
    """
    if not answers or _BOX.match(answers[0]):
        return "iou" if boxed else ""
    if options:
        return "multiple_choice"
    if len(answers) > 1:
        return "vqa_accuracy"
    if answers[0].lower() in ("yes", "no"):
        return "yes_no"
    value = number(answers[0])
    return "exact_match" if value is None or value.is_integer() else "relaxed_accuracy"


def score(case: Case, answer: str, boxes: np.ndarray) -> float | None:
    """0 to 1; None where the set gives no right answer.

    Args:
        boxes: (M, 4) parsed from the answer, as fractions of the picture.
    """
    if case.metric == "iou":
        if case.box is None:
            return None
        return float(iou(np.array(case.box), boxes[:1])[0]) if len(boxes) else 0.0
    if not case.metric or not case.answers:
        return None
    rules = {
        "exact_match": _exact,
        "relaxed_accuracy": _relaxed,
        "vqa_accuracy": _vqa,
        "yes_no": lambda text, answers: float(yes_no(text) == yes_no(answers[0])),
        "multiple_choice": lambda text, answers: float(letter(text) == letter(answers[0])),
    }
    return rules[case.metric](answer, case.answers)


def plain(text: str) -> str:
    """In lower case, without spaces and marks at the ends."""
    return text.strip().strip(string.punctuation + " ").lower()


def yes_no(text: str) -> str:
    """ "yes", "no" or ""."""
    found = re.match(r"\W*(yes|no)\b", text.lower())
    return found[1] if found else ""


def letter(text: str) -> str:
    """The option that an answer names, such as "B" of "(B) a dog"; "" for none."""
    found = _LETTER.match(text.strip())
    return found[1].upper() if found else ""


def number(text: str) -> float | None:
    """The number that a text is: "7", "7.5 %" or "1,200"."""
    try:
        return float(plain(text).replace(",", "").rstrip("% "))
    except ValueError:
        return None


def centre_inside(box: Box, boxes: np.ndarray) -> bool:
    """Center_ACC: whether the centre of the first box lies in the true one."""
    if not len(boxes):
        return False
    x, y = (boxes[0, :2] + boxes[0, 2:]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def _exact(text: str, answers: Sequence[str]) -> float:
    return float(any(plain(text) == plain(answer) for answer in answers))


def _relaxed(text: str, answers: Sequence[str]) -> float:
    given, true = number(text), number(answers[0])
    if given is None or true is None:
        return _exact(text, answers)
    return float(abs(given - true) <= MOST_OFF * abs(true))


def _vqa(text: str, answers: Sequence[str]) -> float:
    given, people = _vqa_form(text), [_vqa_form(answer) for answer in answers]
    if len(people) < 3:
        return float(given in people)
    others = (people[:one] + people[one + 1 :] for one in range(len(people)))
    return float(np.mean([min(1.0, sum(given == other for other in rest) / 3) for rest in others]))


def _vqa_form(text: str) -> str:
    words = _ARTICLES.sub(" ", plain(text)).translate(str.maketrans("", "", string.punctuation))
    return " ".join(_NUMBERS.get(word, word) for word in words.split())
