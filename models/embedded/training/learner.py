"""A model as it learns to answer: what pictures and clips have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm
from transformers import PreTrainedTokenizerFast

from models.embedded.tokenizer import COORDINATES
from models.embedded.training.packing import (
    SOFTNESS,
    Pointer,
    answer_loss,
    read,
    shown,
    soft_targets,
)
from models.embedded.world.sprites import COLOURS, KINDS

TAUGHT_WEIGHT, POINTER_WEIGHT = 0.5, 3.0
WHAT = (len(KINDS) + 1, len(COLOURS))  # what a token is taught of what it shows


class Learner(nn.Module):
    """What is saved is the model alone: both heads on the visual rows of `layer` only teach.

    A family adds its visual rows, and what its tokens can know of themselves.
    """

    marker: ClassVar[str]  # the upload's place in the prompt
    layer: ClassVar[int]  # LLM layers below the heads

    def __init__(
        self, model: Any, tokenizer: PreTrainedTokenizerFast, steps: int, facts: int
    ) -> None:
        super().__init__()
        self.model, self.steps = model, steps
        marker = tokenizer.convert_tokens_to_ids(self.marker)
        head = tokenizer(f"USER: {self.marker}").input_ids
        self.prefix = head[: head.index(marker)]
        width = model.config.text_config.hidden_size
        self.teller, self.pointer = nn.Linear(width, facts), Pointer(width)

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, N, D) in LLM space, and separators behind them."""
        raise NotImplementedError

    def facts_loss(
        self, told: Tensor, batch: dict[str, Tensor], softness: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Of what the head tells (B, N, facts) of each visual token; and what the log shows."""
        raise NotImplementedError

    def loss(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict]:
        hidden, head = read(self.model, self.prefix, self.visual(batch), batch)
        answers = batch["weight"] > 0
        logits = self.model.lm_head(hidden[-1][:, head:][answers]).float()  # (A, vocabulary)
        softness = float(np.interp(step / self.steps, (0, 1), SOFTNESS))
        first, tokens = len(self.prefix), batch["about"].shape[-1]
        middle = hidden[self.layer][:, first : first + tokens]  # (B, N, D)
        told = self.teller(rms_norm(middle, middle.shape[-1:])).float()
        taught, known = self.facts_loss(told, batch, softness)
        pointed, found = self.pointer.loss(middle, hidden[self.layer][:, head:], batch)
        value = answer_loss(logits, batch, softness)
        value = value + TAUGHT_WEIGHT * taught + POINTER_WEIGHT * pointed
        return value, shown(logits, batch["target"][answers]) | known | {"pointed_right": found}


def place_loss(
    told: Tensor, grid: int, there: Tensor, edges: Tensor, softness: float
) -> tuple[Tensor, dict[str, float]]:
    """Of rows and columns that all tokens tell, and boxes that those on an object tell.

    Args:
        told: (B, N, 2 · grid + 400), its frames one after another in N.
        grid: tokens in a row of a frame.
        there: (B, N) whether a token is on an object.
        edges: (those, 4) its object's box, in hundredths.
        softness: of the edges' targets.
    """
    row, column, boxes = told.split([grid, grid, 400], -1)
    cell = torch.arange(told.shape[1]).expand(len(told), -1) % grid**2
    boxes = boxes[there].unflatten(-1, (4, 100))  # (those, 4, 100)
    first, last = COORDINATES
    soft = soft_targets(last, softness)[first:, first:][edges]
    value = (
        cross_entropy(row.flatten(0, 1), (cell // grid).flatten())
        + cross_entropy(column.flatten(0, 1), (cell % grid).flatten())
        - (soft * boxes.log_softmax(-1)).sum(-1).mean()
    )
    off = (boxes.argmax(-1) - edges).abs().float() / 100
    right = (column.argmax(-1) == cell % grid).float().mean()
    return value, {"column_right": right.item(), "edge_error": off.mean().item()}


def what_loss(told: Tensor, kind: Tensor, colour: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Of the kind that all tokens tell, and the colour that those on an object tell.

    Without it both fade from one layer to the next, and then later ones cannot match words.

    Args:
        told: (B, N, kinds + 1 + colours).
        kind, colour: (B, N) of the object a token shows; no object: the last kind, colour −100.
    """
    kinds, colours = told.split(WHAT, -1)
    value = cross_entropy(kinds.flatten(0, 1), kind.flatten())
    value = value + cross_entropy(colours.flatten(0, 1), colour.flatten())
    right, there = kinds.argmax(-1) == kind, kind < len(KINDS)
    return value, {"kind_right": right[there].float().mean().item()}
