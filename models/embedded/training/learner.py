"""Base of the models in training: the loss of the answers and of two auxiliary heads.

Both heads read a middle LLM layer and are dropped after training. One predicts what each visual
token shows, so that kind and colour are still in the visual rows of later layers; in early steps it
also predicts the place of the token and the box of its object. The other scores, from the row that
begins the answer, the visual tokens that the question is about.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm

from models.embedded.training.packing import SOFTNESS, Pointer, answer_loss, read, shown
from models.embedded.training.perception import CLASSES, NONE
from models.embedded.world.glyphs import CHARACTERS
from models.embedded.world.sprites import COLOURS

WHAT = (CLASSES, len(COLOURS), len(CHARACTERS) + 1)  # classes of what a token shows
PLACE = 6  # x and y of the token, and the box of its object
WHAT_WEIGHT, POINTER_WEIGHT = 0.3, 2.0
PLACE_WEIGHT, PLACE_UNTIL = 0.5, 0.5  # at the first step; share of the steps until it is 0


class Learner(nn.Module):
    """A subclass adds its visual rows, and further facts that the head predicts of each token."""

    def __init__(self, model: Any, steps: int, further: int = 0) -> None:
        super().__init__()
        self.model, self.steps = model, steps
        model.model.language_model.set_attn_implementation("packed")
        width = model.config.text_config.hidden_size
        self.layer = model.config.text_config.num_hidden_layers // 2  # layers below the heads
        self.teller = nn.Linear(width, sum(WHAT) + PLACE + further)
        self.pointer = Pointer(width)

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """Visual tokens (B, N, D) in LLM space, with separators after them."""
        raise NotImplementedError

    def further_loss(
        self, predicted: Tensor, batch: dict[str, Tensor]
    ) -> tuple[Tensor | float, dict[str, float]]:
        """Loss of the further predictions `predicted` (B, N, further), and values for the log."""
        return 0.0, {}

    def loss(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict]:
        hidden, first, head = read(self.model, self.visual(batch), batch)
        answers = batch["weight"] > 0
        logits = self.model.lm_head(hidden[-1][:, head:][answers]).float()  # (A, vocabulary)
        softness = SOFTNESS[0] + step / self.steps * (SOFTNESS[1] - SOFTNESS[0])
        tokens = batch["about"].shape[-1]
        middle = hidden[self.layer][:, first : first + tokens]  # (B, N, D)
        predicted = self.teller(rms_norm(middle, middle.shape[-1:])).float()
        what, place, further = predicted.tensor_split([sum(WHAT), sum(WHAT) + PLACE], -1)
        named, known = what_loss(what, batch)
        more, further_known = self.further_loss(further, batch)
        placed = place_loss(place, batch)
        pointed, found = self.pointer.loss(middle, hidden[self.layer][:, head:], batch)
        value = answer_loss(logits, batch, softness) + WHAT_WEIGHT * (named + more)
        value = value + POINTER_WEIGHT * pointed
        fading = max(0.0, 1 - step / (PLACE_UNTIL * self.steps))
        if fading:
            value = value + PLACE_WEIGHT * fading * placed
        log = {"tokens": tokens, "place_error": placed.item(), "pointed_right": found}
        return value, shown(logits, batch["target"][answers]) | log | known | further_known


def place_loss(predicted: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Mean error of x and y of each token, and of the boxes of tokens on objects, as shares."""
    own, box = predicted.split([2, 4], -1)
    there = batch["object"]
    return (own - batch["centre"]).abs().mean() + (box - batch["box"])[there].abs().mean()


def what_loss(predicted: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Loss of class (all tokens), colour (tokens on objects) and character (tokens on signs)."""
    kinds, colours, characters = predicted.split(WHAT, -1)
    value = cross_entropy(kinds.flatten(0, 1), batch["kind"].flatten())
    for logits, name in ((colours, "colour"), (characters, "character")):
        known = batch[name] != NONE
        if known.any():
            value = value + cross_entropy(logits[known], batch[name][known])
    right = kinds.argmax(-1) == batch["kind"]
    return value, {"kind_right": right[batch["object"]].float().mean().item()}
