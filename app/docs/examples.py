"""Draws the example uploads: scenes and clips with questions and known answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.drawn_uploads import PIXELS, draw_upload
from app.settings import EXAMPLES
from models.engine.checks import Gaze

SEEDS = tuple(range(999_000, 999_008))  # consecutive: none is chosen by the results of methods
CLIP_SEEDS = tuple(range(999_000, 999_006))
GAZE: Gaze = ((0.87, 0.79, 1.0),)  # the brown butterfly of scene-3.png
RATIOS = (1 / 3, 2 / 9, 1 / 9)  # of the gallery


@dataclass(frozen=True)
class Shown:
    """An example in the gallery, one of its questions, and the model that answers it."""

    file: str
    question: str
    model: str
    gaze: Gaze = ()  # at what the question is about


SHOWN = {
    "image": Shown("scene-3.png", "Find the brown butterfly.", "embedded-image", GAZE),
    "video": Shown("clip-4.mp4", "Which way does the bell move?", "embedded-video"),
}


def draw() -> Iterator[Path]:
    """Draw all examples and write their index with questions and answers."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    scenes = [("image", seed, f"scene-{number}.png") for number, seed in enumerate(SEEDS, start=1)]
    clips = [("video", seed, f"clip-{number}.mp4") for number, seed in enumerate(CLIP_SEEDS, 1)]
    index = []
    for kind, seed, name in (*scenes, *clips):
        index.append(draw_upload(kind, seed, EXAMPLES / name, PIXELS))
        yield EXAMPLES / name
    (EXAMPLES / "examples.json").write_text(json.dumps(index, indent=1) + "\n")
