"""Stage two: projector and language model learn to answer, the encoder frozen as in LLaVA.

Every batch is shown at another size, so that a row in the sequence never means one place in the
picture: the model has to read place from features, as a real one that has seen many resolutions.
No visual token is ever left out, pooled or merged.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from models.embedded.build import GRID, PATCH, pixels
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import perception
from models.embedded.training.canvas import batch_size, canvas, first_upload
from models.embedded.training.learner import Learner
from models.embedded.training.packing import packed, prefix
from models.embedded.world.questions import questions
from models.embedded.world.scenes import Scene, draw_scene, training_seed

SEEDS = 1_000  # apart from those of the encoder's pictures
TEXT_ROWS = 380  # of questions and answers behind a picture
QUESTIONS = 28  # a picture; visual rows cost most, and are read once for all of them
BOXES, BOX_WEIGHT = 0.35, 2.0  # share of the questions that ask for a box, and its weight


def batch(step: int, *, steps: int, seed: int, rows: int) -> dict[str, Tensor]:
    """Pictures of one size with their questions, packed; about so many rows in all."""
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
        row = packed(_tokenizer(), asked, owner, BOX_WEIGHT, TEXT_ROWS, rng)
        made.append(row | seen | {"picture": torch.from_numpy(scene.picture.copy())})
    stacked = {key: torch.stack([row[key] for row in made]) for key in made[0]}
    introduction = prefix(_tokenizer(), "<image>", np.random.default_rng([step, seed, 8]))
    return stacked | {"prefix": introduction}


def facts(scene: Scene, rows: int, cols: int) -> dict[str, Tensor]:
    """(rows·cols,) of each token: what it shows, where it lies, its object's box."""
    seen = perception.labels(scene, rows, cols)
    boxes = torch.tensor([thing.box for thing in scene.things])
    kept = ("owner", "object", "kind", "colour", "character", "centre")
    return {key: seen[key] for key in kept} | {"box": boxes[seen["owner"]]}


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


class Student(Learner):
    """The picture model as it learns."""

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, N, D), what `vision_feature_layer` −2 selects, projected."""
        tower = self.model.model.vision_tower
        with torch.no_grad():
            states = perception.states(tower, pixels(batch["picture"]), reset=0.0)[0]
        projected: Tensor = self.model.model.multi_modal_projector(states[:, 1:])
        return projected
