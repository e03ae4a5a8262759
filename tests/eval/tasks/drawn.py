"""A task of lmms-eval over the example pictures and clips: no data is fetched for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image

from models.grounding import iou, parse_boxes

EXAMPLES = Path(__file__).resolve().parents[3] / "assets" / "examples"


def scenes(examples: Dataset) -> Dataset:
    return _questions(examples, ".png")


def clips(examples: Dataset) -> Dataset:
    return _questions(examples, ".mp4")


def _questions(examples: Dataset, suffix: str) -> Dataset:
    """A row a question, of the files that end so."""
    return Dataset.from_list(
        [
            {"file": example["file"], **question}
            for example in examples
            if example["file"].endswith(suffix)
            for question in example["questions"]
        ]
    )


def visuals(doc: dict[str, Any]) -> list[Any]:
    """A picture as Pillow has it, a clip as a path: as the public tasks give them."""
    path = EXAMPLES / doc["file"]
    return [str(path) if path.suffix == ".mp4" else Image.open(path)]


def judged(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Of the metrics the one that the question is about."""
    (answer,) = results
    if doc["box"] is None:
        return {"exact": float(answer == doc["answer"])}
    boxes = parse_boxes(answer)[:1]
    return {"acc@0.5": float(len(boxes) > 0 and iou(doc["box"], boxes)[0] >= 0.5)}
