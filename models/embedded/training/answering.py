"""Stage two: trains projector and LLM to answer. The encoder is frozen, as in LLaVA.

The size of the pictures differs from batch to batch. So the index of a row does not determine a
place in the picture, and the model has to read places from features, as models trained on many
resolutions do. No visual token is dropped, pooled or merged.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.embedded.build import GRID, PATCH, pixels
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import perception
from models.embedded.training.canvas import batch_size, canvas, first_upload
from models.embedded.training.learner import Learner
from models.embedded.training.packing import packed, prefix
from models.embedded.world.questions import questions
from models.embedded.world.scenes import Scene, draw_scene, training_seed

SEEDS = 1_000  # added to the seed: other pictures than those of the encoder's stage
TEXT_ROWS = 380  # rows of questions and answers after a picture
QUESTIONS = 28  # per picture: they share the visual rows, which cost most
BOXES, BOX_WEIGHT = 0.35, 2.0  # share of the questions that ask for a box, and its weight


def batch(step: int, *, steps: int, seed: int, rows: int) -> dict[str, Tensor]:
    """Pictures of one size with packed questions, about `rows` rows in total."""
    shape = canvas(step, steps, seed, GRID)
    count = batch_size(rows, shape[0] * shape[1], TEXT_ROWS)
    first = first_upload(step, seed + SEEDS)
    made = []
    for index in range(first, first + count):
        scene = draw_scene(training_seed(index), shape[0] * PATCH, shape=shape)
        rng = np.random.default_rng([index, 2])
        asked = questions(scene, rng, count=QUESTIONS, boxes=BOXES)
        seen = facts(scene, *shape)
        owner = seen.pop("owner")
        row = packed(make_tokenizer(), asked, owner, BOX_WEIGHT, TEXT_ROWS, rng)
        made.append(row | seen | {"picture": torch.from_numpy(scene.picture.copy())})
    stacked = {key: torch.stack([row[key] for row in made]) for key in made[0]}
    introduction = prefix(make_tokenizer(), "<image>", np.random.default_rng([step, seed, 8]))
    return stacked | {"prefix": introduction}


def facts(scene: Scene, rows: int, cols: int) -> dict[str, Tensor]:
    """By token (rows·cols,): what it shows, its place, and the box of its object."""
    seen = perception.labels(scene, rows, cols)
    boxes = torch.tensor([thing.box for thing in scene.things])
    kept = ("owner", "object", "kind", "colour", "character", "centre")
    return {key: seen[key] for key in kept} | {"box": boxes[seen["owner"]]}


class Student(Learner):
    """The picture model in training."""

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """Projected features (B, N, D) of the layer that `vision_feature_layer` −2 selects."""
        tower = self.model.model.vision_tower
        with torch.no_grad():
            states = perception.states(tower, pixels(batch["picture"]), reset=0.0)[0]
        projected: Tensor = self.model.model.multi_modal_projector(states[:, 1:])
        return projected
