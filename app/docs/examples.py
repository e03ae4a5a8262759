"""Draws the example uploads: scenes and clips with questions and known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.example_uploads import file_digest
from app.render.mp4 import write_mp4
from app.settings import EXAMPLES
from models.embedded.world import clip_questions as clip_ask
from models.embedded.world import questions as ask
from models.embedded.world.clips import SECONDS, draw_clip
from models.embedded.world.questions import Question
from models.embedded.world.scenes import draw_scene, evaluation_seed
from models.uploads.read import read_image

PIXELS = 480
DRAWN_FRAMES, SAMPLED_FRAMES = 24, 8  # of a clip, and of those that its model samples
SEEDS = (999_050, 999_182, 999_220, 999_163, 999_143, 999_177, 999_152, 999_139)
CLIP_SEEDS = (999_017, 999_043, 999_034, 999_028, 999_021, 999_041)
RATIOS = (1 / 3, 2 / 9, 1 / 9)  # of the gallery


@dataclass(frozen=True)
class Shown:
    """An example in the gallery, one of its questions, and the model that answers it."""

    file: str
    question: str
    model: str


SHOWN = {
    "image": Shown("scene-4.png", "Find the car on the right.", "embedded-image"),
    "video": Shown("clip-6.mp4", "Which way does the boat move?", "embedded-video"),
}


def draw() -> Iterator[Path]:
    """Draw all examples and write their index with questions and answers."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    index = []
    for path, entry in (*_pictures(), *_clips()):
        index.append({"file": path.name} | entry)
        yield path
    (EXAMPLES / "examples.json").write_text(json.dumps(index, indent=1) + "\n")


def _pictures() -> Iterator[tuple[Path, dict]]:
    for number, seed in enumerate(SEEDS, start=1):
        scene = draw_scene(evaluation_seed(seed), PIXELS)
        path = EXAMPLES / f"scene-{number}.png"
        Image.fromarray(scene.picture).save(path, optimize=True)
        questions = _questions(scene, seed, (ask.grounding, ask.grounding, *ask.OTHERS))
        yield path, {"seed": seed, "digest": read_image(path).digest, "questions": questions}


def _clips() -> Iterator[tuple[Path, dict]]:
    for number, seed in enumerate(CLIP_SEEDS, start=1):
        clip = draw_clip(evaluation_seed(seed), DRAWN_FRAMES, PIXELS)
        path = EXAMPLES / f"clip-{number}.mp4"
        write_mp4(path, clip.frames, round(DRAWN_FRAMES / SECONDS))
        questions = _questions(clip, seed, (*clip_ask.OTHERS, clip_ask.end))
        entry = {"seed": seed, "digest": file_digest(path), "frames": SAMPLED_FRAMES}
        yield path, entry | {"questions": questions}


def _questions(
    drawn: Any, seed: int, makers: Iterable[Callable[..., Question | None]]
) -> list[dict]:
    """One short question of each maker, if it finds one, with its answer and box."""
    rng = np.random.default_rng([seed, 3])
    found: dict[str, Question] = {}
    for maker in makers:
        for _ in range(40):
            question = maker(drawn, rng)
            if question and len(question.text) < 60 and question.text not in found:
                found[question.text] = question
                break
    return [
        {"question": question.text.capitalize(), "answer": question.answer, "box": question.box}
        for question in found.values()
    ]
