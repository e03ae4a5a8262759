"""Draws the example uploads: scenes and clips with questions and known answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.drawn_uploads import PIXELS, draw_upload
from app.settings import EXAMPLES
from models.engine.checks import Gaze

SEEDS = (999_050, 999_182, 999_220, 999_163, 999_143, 999_177, 999_152, 999_139)
CLIP_SEEDS = (999_017, 999_043, 999_034, 999_028, 999_021, 999_041)
GAZE: Gaze = ((0.81, 0.14, 1.0),)  # the car on the right of scene-4.png
RATIOS = (1 / 3, 2 / 9, 1 / 9)  # of the gallery


@dataclass(frozen=True)
class Shown:
    """An example in the gallery, one of its questions, and the model that answers it."""

    file: str
    question: str
    model: str
    gaze: Gaze = ()  # at what the question is about


SHOWN = {
    "image": Shown("scene-4.png", "Find the car on the right.", "embedded-image", GAZE),
    "video": Shown("clip-6.mp4", "Which way does the boat move?", "embedded-video"),
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
