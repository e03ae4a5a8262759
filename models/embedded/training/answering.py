"""Stage two: projector and language model learn to answer, the encoder frozen as in LLaVA.

A box gives few lessons in reading place, so while training a linear head on the visual rows of a
middle layer says at which row and column each lies, what it shows and where its object's box is.
Features tell hardly any place, so rotary positions must. Another one learns which visual tokens
each question is about: words must find things before yes and no can mean anything. Both heads are
thrown away afterwards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from models.embedded.build import GRID, pixels
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import perception
from models.embedded.training.learner import WHAT, Learner, place_loss, what_loss
from models.embedded.training.packing import packed
from models.embedded.world.questions import questions
from models.embedded.world.scenes import MAX_OBJECTS, draw_scene, training_seed

FEW_OBJECTS = 200  # first steps, with at most two objects
TEXT_ROWS = 180  # of questions and answers behind a picture
BOXES, BOX_WEIGHT = 0.35, 2.0  # share of the questions that ask for a box, and its weight
PLACE = 2 * GRID + 400  # what a token is taught of place: row, column, its object's box


def batch(step: int, *, size: int, seed: int) -> dict[str, Tensor]:
    """`size` pictures with their questions, packed: see `packing`."""
    rows = []
    for index in range(step * size, (step + 1) * size):
        most = 2 if step < FEW_OBJECTS else MAX_OBJECTS
        scene = draw_scene(training_seed(index + seed * 10**8), most=most)
        asked = questions(scene, np.random.default_rng([index, seed, 2]), count=14, boxes=BOXES)
        boxes = torch.tensor([thing.box for thing in scene.things])
        seen = perception.labels(scene)
        rows.append(
            packed(_tokenizer(), asked, seen["owner"], BOX_WEIGHT, TEXT_ROWS)
            | {"picture": torch.from_numpy(scene.picture.copy())}
            | {key: seen[key] for key in ("object", "kind", "colour")}
            | {"edges": (boxes[seen["owner"]] * 100).round().long().clamp(0, 99)}
        )
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


class Student(Learner):
    """The picture model as it learns."""

    marker = "<image>"
    layer = 4

    def __init__(
        self, model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, steps: int
    ) -> None:
        super().__init__(model, tokenizer, steps, facts=PLACE + sum(WHAT))

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, N, D), what `vision_feature_layer` −2 selects, projected."""
        tower = self.model.model.vision_tower
        with torch.no_grad():
            states = tower.pre_layrnorm(tower.embeddings(pixels(batch["picture"])))
            for layer in tower.encoder.layers[:-1]:
                states = layer(states, None)
        projected: Tensor = self.model.model.multi_modal_projector(states[:, 1:])
        return projected

    def facts_loss(
        self, told: Tensor, batch: dict[str, Tensor], softness: float
    ) -> tuple[Tensor, dict[str, float]]:
        placed, named = told.split([PLACE, sum(WHAT)], -1)
        there = batch["object"]
        place, known = place_loss(placed, GRID, there, batch["edges"][there], softness)
        what, named_right = what_loss(named, batch["kind"], batch["colour"])
        return place + what, known | named_right
