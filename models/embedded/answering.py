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
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from models.embedded import perception
from models.embedded.build import GRID, pixels
from models.embedded.packing import (
    SOFTNESS,
    Pointer,
    answer_loss,
    packed,
    read,
    shown,
    soft_targets,
)
from models.embedded.questions import OTHERS, Asker, existence, questions
from models.embedded.tokenizer import COORDINATES, make_tokenizer
from models.embedded.world import MAX_OBJECTS, draw_scene, training_seed

FEW_OBJECTS = 0.12  # share of the steps with at most two objects
PLACE_FIRST = 1 / 3  # share of the steps in which boxes count for more
TEXT_ROWS, WORD_ROWS = 200, 140  # of questions and answers behind a picture, by stage
BOX_WEIGHT = (2.5, 1.0)  # of a box question beside one of a word: while place is learnt, and after
PLACE_LAYER = 4  # LLM layers below the head that is taught place
PLACE_WEIGHT, POINTER_WEIGHT = 0.5, 3.0


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


class Student(nn.Module):
    """The model as it learns: what is saved is the model alone."""

    def __init__(
        self, model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, steps: int
    ) -> None:
        super().__init__()
        self.model, self.steps = model, steps
        image = tokenizer.convert_tokens_to_ids("<image>")
        head = tokenizer("USER: <image>").input_ids
        self.prefix = head[: head.index(image)]
        self.place = nn.Linear(model.config.text_config.hidden_size, 2 * GRID + 400)
        self.pointer = Pointer(model.config.text_config.hidden_size)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 -> (B, N, D), what `vision_feature_layer` −2 selects."""
        tower = self.model.model.vision_tower
        with torch.no_grad():
            states = tower.pre_layrnorm(tower.embeddings(pixels(pictures)))
            for layer in tower.encoder.layers[:-1]:
                states = layer(states, None)
        return states[:, 1:]

    def loss(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict]:
        visual = self.model.model.multi_modal_projector(self.features(batch["picture"]))
        hidden, head = read(self.model, self.prefix, visual, batch)
        answers = batch["weight"] > 0
        logits = self.model.lm_head(hidden[-1][:, head:][answers]).float()  # (A, vocabulary)
        softness = float(np.interp(step / self.steps, (0, 1), SOFTNESS))
        value = answer_loss(logits, batch, softness)
        middle = hidden[PLACE_LAYER][:, len(self.prefix) : head]  # (B, N, D)
        placed, placement = self._place_loss(middle, batch, softness)
        pointed, found = self.pointer.loss(middle, hidden[PLACE_LAYER][:, head:], batch)
        told = shown(logits, batch["target"][answers]) | placement | {"pointed_right": found}
        return value + PLACE_WEIGHT * placed + POINTER_WEIGHT * pointed, told

    def _place_loss(
        self, states: Tensor, batch: dict[str, Tensor], softness: float
    ) -> tuple[Tensor, dict[str, float]]:
        states = nn.functional.rms_norm(states, states.shape[-1:])
        row, column, edges = self.place(states).float().split([GRID, GRID, 400], -1)
        raster = torch.arange(GRID * GRID).expand(len(states), -1)
        on_object = batch["object"]
        edges = edges[on_object].unflatten(-1, (4, 100))  # (objects' rows, 4, 100)
        first, last = COORDINATES
        soft = soft_targets(last, softness)[first:, first:][batch["edges"][on_object]]
        value = (
            cross_entropy(row.flatten(0, 1), (raster // GRID).flatten())
            + cross_entropy(column.flatten(0, 1), (raster % GRID).flatten())
            - (soft * edges.log_softmax(-1)).sum(-1).mean()
        )
        off = (edges.argmax(-1) - batch["edges"][on_object]).abs().float() / 100
        right = (column.argmax(-1) == raster % GRID).float().mean()
        return value, {"column_right": right.item(), "edge_error": off.mean().item()}
