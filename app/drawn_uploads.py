"""Draws scenes and clips as files, each with questions and their known answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.example_uploads import file_digest, remember
from app.render.mp4 import write_mp4
from models.embedded.world import clip_questions as clip_ask
from models.embedded.world import clips
from models.embedded.world import questions as ask
from models.embedded.world.clips import SECONDS, draw_clip
from models.embedded.world.questions import Question
from models.embedded.world.scenes import EVALUATION_SEEDS, draw_scene, evaluation_seed
from models.uploads.read import read_image

PIXELS = 480
SAMPLED_FRAMES = clips.FRAMES  # of a clip, by its model
DRAWN_FRAMES = 2 * SAMPLED_FRAMES - 1  # every second one is sampled, the first and the last too


def draw_upload(kind: str, seed: int, path: Path, pixels: int = PIXELS) -> dict[str, Any]:
    """Write the scene or clip of a seed that training never sees; returns its entry in the index.

    The entry has the file's name, the seed, the digest by which the upload is recognised, and
    questions with answers and boxes.
    """
    if kind == "image":
        scene = draw_scene(evaluation_seed(seed), pixels)
        Image.fromarray(scene.picture).save(path, optimize=True)
        known = {"digest": read_image(path).digest}
        asked = _questions(scene, seed, (ask.grounding, ask.grounding, *ask.OTHERS))
    else:
        clip = draw_clip(evaluation_seed(seed), DRAWN_FRAMES, pixels)
        write_mp4(path, clip.frames, round(DRAWN_FRAMES / SECONDS))
        known = {"digest": file_digest(path), "frames": SAMPLED_FRAMES}
        asked = _questions(clip, seed, (*clip_ask.OTHERS, clip_ask.end))
    return {"file": path.name, "seed": seed, **known, "questions": asked}


def draw_new(kind: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A scene or clip of a random seed; the page recognises it when it is asked about."""
    seed = secrets.randbelow(EVALUATION_SEEDS)
    path = folder / (f"scene-{seed}.png" if kind == "image" else f"clip-{seed}.mp4")
    entry = draw_upload(kind, seed, path)
    remember(entry)
    return path, entry


def _questions(
    drawn: Any, seed: int, makers: Iterable[Callable[..., Question | None]]
) -> list[dict[str, Any]]:
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
