"""A model as it learns to answer: what pictures and clips have in common.

Beside the answers two heads on the visual rows of a middle LLM layer teach, and are thrown away
afterwards. One says what each token shows, so that kind and colour do not fade from layer to layer
before words can match them; early on it also says where the token and its object lie. The other
points from the row that answers to the tokens that the question is about.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm

from models.embedded.training.packing import SOFTNESS, Pointer, answer_loss, read, shown
from models.embedded.training.perception import CLASSES, NONE
from models.embedded.world.glyphs import CHARACTERS
from models.embedded.world.sprites import COLOURS

WHAT = (CLASSES, len(COLOURS), len(CHARACTERS) + 1)  # what a token is taught of what it shows
PLACE = 6  # and of place: its own x and y, its object's box
WHAT_WEIGHT, POINTER_WEIGHT = 0.3, 2.0
PLACE_WEIGHT, PLACE_UNTIL = 0.5, 0.5  # of place at the first step; share of the steps it fades in


class Learner(nn.Module):
    """A family adds its visual rows, and what more its tokens can know of themselves."""

    def __init__(self, model: Any, steps: int, further: int = 0) -> None:
        super().__init__()
        self.model, self.steps = model, steps
        model.model.language_model.set_attn_implementation("packed")
        width = model.config.text_config.hidden_size
        self.layer = model.config.text_config.num_hidden_layers // 2  # layers below the heads
        self.teller = nn.Linear(width, sum(WHAT) + PLACE + further)
        self.pointer = Pointer(width)

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, N, D) in LLM space, and separators behind them."""
        raise NotImplementedError

    def further_loss(
        self, told: Tensor, batch: dict[str, Tensor]
    ) -> tuple[Tensor | float, dict[str, float]]:
        """Of what more the head tells (B, N, further) of each token; and what the log shows."""
        return 0.0, {}

    def loss(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict]:
        hidden, first, head = read(self.model, self.visual(batch), batch)
        answers = batch["weight"] > 0
        logits = self.model.lm_head(hidden[-1][:, head:][answers]).float()  # (A, vocabulary)
        softness = SOFTNESS[0] + step / self.steps * (SOFTNESS[1] - SOFTNESS[0])
        tokens = batch["about"].shape[-1]
        middle = hidden[self.layer][:, first : first + tokens]  # (B, N, D)
        told = self.teller(rms_norm(middle, middle.shape[-1:])).float()
        what, place, further = told.tensor_split([sum(WHAT), sum(WHAT) + PLACE], -1)
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


def place_loss(told: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Mean error of x and y (B, N, 2), and of the box of those on an object, all shares."""
    own, box = told.split([2, 4], -1)
    there = batch["object"]
    return (own - batch["centre"]).abs().mean() + (box - batch["box"])[there].abs().mean()


def what_loss(told: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Of the class that all tokens tell, the colour on objects, the character on signs."""
    kinds, colours, characters = told.split(WHAT, -1)
    value = cross_entropy(kinds.flatten(0, 1), batch["kind"].flatten())
    for logits, name in ((colours, "colour"), (characters, "character")):
        known = batch[name] != NONE
        if known.any():
            value = value + cross_entropy(logits[known], batch[name][known])
    right = kinds.argmax(-1) == batch["kind"]
    return value, {"kind_right": right[batch["object"]].float().mean().item()}
