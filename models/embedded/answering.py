"""Stage two: projector and language model learn to answer, the encoder frozen as in LLaVA.

Answers of one word lag behind boxes, so a short last stage asks mostly for those.

A box gives few lessons in reading place, so while training a linear head on the visual rows of a
middle layer says at which row and column each lies and where its object's box is. Features carry
no place, so this too must come from rotary positions. Another one learns which visual tokens each
question is about: words must find things before yes and no can mean anything. Both heads are
thrown away afterwards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from models.embedded import perception
from models.embedded.build import GRID, pixels
from models.embedded.learner import Learner, place_loss
from models.embedded.packing import packed
from models.embedded.questions import OTHERS, Asker, existence, questions
from models.embedded.tokenizer import make_tokenizer
from models.embedded.world import MAX_OBJECTS, draw_scene, training_seed

FEW_OBJECTS = 0.12  # share of the steps with at most two objects
PLACE_FIRST = 1 / 3  # share of the steps in which boxes count for more
TEXT_ROWS, WORD_ROWS = 200, 140  # of questions and answers behind a picture, by stage
BOX_WEIGHT = (2.5, 1.0)  # of a box question beside one of a word: while place is learnt, and after


def batch(step: int, *, size: int, steps: int, seed: int) -> dict[str, Tensor]:
    """`size` pictures with their questions, packed: see `packing`."""
    box_weight = BOX_WEIGHT[step >= PLACE_FIRST * steps]
    most = 2 if step < FEW_OBJECTS * steps else MAX_OBJECTS
    return _batch(range(step * size, (step + 1) * size), seed, most, 0.5, box_weight, TEXT_ROWS)


def words_batch(step: int, *, size: int, seed: int) -> dict[str, Tensor]:
    """The same for the last stage: pictures not yet seen, and mostly answers of one word."""
    start = 5 * 10**7 + step * size
    others = (*OTHERS, existence)  # it lags most
    return _batch(range(start, start + size), seed, MAX_OBJECTS, 0.25, 1.0, WORD_ROWS, others)


def _batch(
    indices: range,
    seed: int,
    most: int,
    share: float,
    box_weight: float,
    length: int,
    others: tuple[Asker, ...] = OTHERS,
) -> dict[str, Tensor]:
    rows = []
    for index in indices:
        scene = draw_scene(training_seed(index + seed * 10**8), most=most)
        rng = np.random.default_rng([index, seed, 2])
        asked = questions(scene, rng, count=14, boxes=share, others=others)
        boxes = torch.tensor([thing.box for thing in scene.things])
        seen = perception.labels(scene)
        rows.append(
            packed(_tokenizer(), asked, seen["owner"], box_weight, length)
            | {
                "picture": torch.from_numpy(scene.picture.copy()),
                "object": seen["object"],
                "edges": (boxes[seen["owner"]] * 100).round().long().clamp(0, 99),
            }
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
        super().__init__(model, tokenizer, steps, facts=2 * GRID + 400)

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
        there = batch["object"]
        return place_loss(told, GRID, there, batch["edges"][there], softness)
