"""The example pictures: scenes of our own world at page size, with questions and answers known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from app.settings import EXAMPLES
from models.embedded import questions as ask
from models.embedded.questions import Question
from models.embedded.world import Scene, draw_scene, evaluation_seed
from models.media import read_image

PIXELS = 480
SEEDS = (999_050, 999_171, 999_220, 999_163, 999_143, 999_177, 999_152, 999_139)


def draw() -> Iterator[Path]:
    """Draw them, and write the index that says what is true of each."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    index = []
    for number, seed in enumerate(SEEDS, start=1):
        scene = draw_scene(evaluation_seed(seed), PIXELS)
        path = EXAMPLES / f"scene-{number}.png"
        Image.fromarray(scene.picture).save(path, optimize=True)
        index.append(
            {
                "file": path.name,
                "seed": seed,
                "digest": read_image(path).digest,
                "questions": [
                    {"question": q.text.capitalize(), "answer": q.answer, "box": q.box}
                    for q in _questions(scene, seed)
                ],
            }
        )
        yield path
    (EXAMPLES / "examples.json").write_text(json.dumps(index, indent=1) + "\n")


def _questions(scene: Scene, seed: int) -> list[Question]:
    """Two that ask where, then one of each other sort that the scene allows."""
    rng = np.random.default_rng([seed, 3])
    found: dict[str, Question] = {}
    for maker in (ask.grounding, ask.grounding, *ask.OTHERS):
        for _ in range(40):
            question = maker(scene, rng)
            if question and len(question.text) < 60 and question.text not in found:
                found[question.text] = question
                break
    return list(found.values())
