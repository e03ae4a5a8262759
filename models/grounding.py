"""Prompts for boxes, and parsing of boxes in answers, for each family.

Parsing follows the official evaluations: it takes every quadruple of numbers and ignores the text
around it, so JSON may be fenced, bare or cut short. (The parser of `supervision` requires complete
objects with labels, and raises on an invalid number.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from pruning.errors import ExplainedError

Region = tuple[float, float, float, float]  # xyxy, in fractions of the picture

WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
_NUMBER, _INTEGER = r"\s*(\d+(?:\.\d+)?)\s*", r"\s*(\d+)\s*"
_FRACTIONS = re.compile(rf"\[{','.join([_NUMBER] * 4)}\]")
_INTEGERS = re.compile(
    rf"\[{','.join([_INTEGER] * 4)}\]|\({_INTEGER},{_INTEGER}\),\({_INTEGER},{_INTEGER}\)"
)
_ARTICLE = re.compile(r"^(an?|the)\s+", re.IGNORECASE)


def parse_boxes(text: str) -> np.ndarray:
    """Every `[x1, y1, x2, y2]` of fractions in `text`, as (M, 4) float32."""
    found = np.array(_FRACTIONS.findall(text), dtype=np.float64).reshape(-1, 4)
    return found[(found <= 1).all(axis=1)].astype(np.float32)


def parse_integers(text: str) -> np.ndarray:
    """Every `[x1, y1, x2, y2]` and `(x1,y1),(x2,y2)` of whole numbers, as (M, 4) float64."""
    found = [[number for number in match if number] for match in _INTEGERS.findall(text)]
    return np.array(found, dtype=np.float64).reshape(-1, 4)


@dataclass(frozen=True)
class Format:
    """A family's prompt for a box, and its notation of boxes."""

    prompt: str  # {} is the expression to locate
    written: str  # description of the notation
    parse: Callable[[str], np.ndarray]  # answer -> numbers (M, 4) in that notation
    full: float | None = 1.0  # coordinate of the far edge; None = the side in pixels
    padded: bool = False  # coordinates refer to the padded picture
    bare: bool = False  # removes the expression's article

    def question(self, expression: str) -> str:
        """The prompt for the box of an expression such as "the red car"."""
        expression = expression.strip()
        return self.prompt.format(_ARTICLE.sub("", expression) if self.bare else expression)

    def boxes(
        self, answer: str, region: Region = WHOLE, size: tuple[int, int] = (1, 1)
    ) -> np.ndarray:
        """Boxes (M, 4) float32 in an answer, as fractions of the picture.

        Args:
            answer: of the model.
            region: the model's input, in fractions of the picture.
            size: height and width in pixels of the model's input.
        """
        height, width = size if self.full is None else (self.full, self.full)
        fractions = self.parse(answer) / np.array([width, height, width, height])
        return to_picture(fractions, region if self.padded else WHOLE)


_LLAVA = (  # from the benchmark on RefCOCO; the last sentence is from LLaVA's training
    "Bounding box coordinates are specified in the format (top-left x, top-left y, bottom-right x, "
    "bottom-right y). All values are floating point numbers bounded between 0 and 1. "
    "Please provide the bounding box coordinate of the region this sentence describes: {}"
)
_QWEN = "Locate {} in this image and output the bbox coordinates in JSON format."
_CORNERS = "[x1, y1, x2, y2], as fractions of the "

FORMATS = {
    "padded": Format(_LLAVA, _CORNERS + "picture padded to a square", parse_boxes, padded=True),
    "plain": Format(_LLAVA, _CORNERS + "picture", parse_boxes),
    "pixels": Format(
        _QWEN, "[x1, y1, x2, y2], in pixels of the resized picture", parse_integers, None, bare=True
    ),
    "thousand": Format(
        _QWEN, "[x1, y1, x2, y2], in thousandths of the picture", parse_integers, 1000.0, bare=True
    ),
    "scene": Format(
        "Locate the {}.",
        _CORNERS + "picture padded to a square",
        parse_boxes,
        padded=True,
        bare=True,
    ),
    "clip": Format("Locate the {} at the end.", _CORNERS + "last frame", parse_boxes, bare=True),
}


def check_region(edges: Iterable[str | float], of: float = 1) -> Region:
    """The box of four numbers, of which `of` is the far edge. Raises `ExplainedError`."""
    came = list(edges)
    with suppress(ValueError, TypeError):
        left, top, right, bottom = (float(edge) / of for edge in came)
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return left, top, right, bottom
    text = ", ".join(str(one).strip() for one in came)[:80] or "empty"
    raise ExplainedError(
        f"The box is {text}, wanted left, top, right, bottom from 0 to {of:g} with left < right "
        "and top < bottom."
    )


def to_picture(boxes: np.ndarray, region: Region) -> np.ndarray:
    """Converts boxes (M, 4) from fractions of `region` to fractions of the picture.

    Clips boxes to the picture and drops empty ones. Drops boxes with swapped corners too: they
    enclose nothing, and official scores give them no overlap.
    """
    left, top, right, bottom = region
    scale = np.array([right - left, bottom - top] * 2)
    placed = np.clip(boxes * scale + [left, top, left, top], 0, 1)
    filled = (placed[:, 0] < placed[:, 2]) & (placed[:, 1] < placed[:, 3])
    return placed[filled].astype(np.float32)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with each of `b` (M, 4), as (M,)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64).reshape(-1, 4)
    sides = np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2])  # (M, 2)
    shared = sides.clip(min=0).prod(axis=1)
    union = (a[2:] - a[:2]).prod() + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared
    return shared / np.where(union > 0, union, 1)
