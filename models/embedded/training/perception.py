"""Stage one: trains the encoder to predict, at each patch, its object and the edges of the object.

Position embeddings are absolute, as in CLIP; for other sizes than the native one they are
interpolated as in transformers. [CLS] predicts what is in the picture. In half of the pictures,
its state is reset before the layer whose attention the methods read: so this attention has to
find the objects.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as presence_loss
from torch.nn.functional import cross_entropy
from transformers import CLIPVisionModel

from models.embedded.world.glyphs import CHARACTERS
from models.embedded.world.grounds import GROUNDS
from models.embedded.world.scenes import MAX_OBJECTS, Scene, Thing
from models.embedded.world.sprites import COLOURS, KINDS, letter_boxes

KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}
COLOUR_INDEX = {colour: index for index, colour in enumerate(COLOURS)}
CLASSES = len(KINDS) + len(GROUNDS)  # of a patch: a kind of object, or of background
PATCH_FACTS = (CLASSES, len(COLOURS), 4, len(CHARACTERS) + 1, 2)
PICTURE_FACTS = (len(KINDS) + len(COLOURS), MAX_OBJECTS + 1, len(GROUNDS))
PLACE_WEIGHT = 1.0  # with 0.2, the mean error stayed at 0.07 of a side
NONE = -100  # a label without a loss
_COVERED = 0.2  # least share of a patch that an object covers


class Heads(nn.Module):
    """The predictions from the features; only for training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.patch = nn.Linear(width, sum(PATCH_FACTS))
        self.picture = nn.Linear(width, sum(PICTURE_FACTS))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1+N, D) -> (B, N, patch facts) and (B, picture facts)."""
        states = self.norm(states)
        return self.patch(states[:, 1:]), self.picture(states[:, 0])


def owners(scene: Scene, rows: int, cols: int | None = None) -> Tensor:
    """Index (rows·cols,) of the thing that each cell shows, −1 = background."""
    cols = cols or rows
    height, width = scene.owner.shape[0] // rows, scene.owner.shape[1] // cols
    cells = torch.from_numpy(scene.owner.copy()).long()[: rows * height, : cols * width]
    cells = cells.reshape(rows, height, cols, width).permute(0, 2, 1, 3)
    cells = cells.reshape(rows * cols, height * width)
    if not scene.things:
        return torch.full((rows * cols,), -1)
    cover = torch.stack([(cells == index).float().mean(1) for index in range(len(scene.things))])
    share, owner = cover.max(0)
    return torch.where(share >= _COVERED, owner, -1)


def centres(rows: int, cols: int) -> Tensor:
    """x and y (rows·cols, 2) of each cell's centre, as shares of the picture."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    return torch.stack([(x.reshape(-1) + 0.5) / cols, (y.reshape(-1) + 0.5) / rows], -1)


def characters(things: tuple[Thing, ...], owner: Tensor, centre: Tensor) -> Tensor:
    """The character (N,) at each cell of a sign; the last class = none."""
    found = torch.full_like(owner, NONE)
    for index, thing in enumerate(things):
        if not thing.text:
            continue
        found[owner == index] = len(CHARACTERS)
        left, top, right, bottom = thing.box
        corner, sides = torch.tensor([left, top]), torch.tensor([right - left, bottom - top])
        place = (centre - corner) / sides  # (N, 2) in shares of the sign
        for character, (x0, y0, x1, y1) in zip(thing.text, letter_boxes(thing.text), strict=True):
            low, high = torch.tensor([x0, y0]), torch.tensor([x1, y1])
            within = ((place >= low) & (place < high)).all(1) & (owner == index)
            found[within] = CHARACTERS.index(character)
    return found


def labels(scene: Scene, rows: int, cols: int) -> dict[str, Tensor]:
    """By patch, kind, colour, edges and character; by picture, its contents."""
    things, owner, centre = scene.things, owners(scene, rows, cols), centres(rows, cols)
    kinds = torch.tensor([KIND_INDEX[thing.kind] for thing in things])
    colours = torch.tensor([COLOUR_INDEX[thing.colour] for thing in things])
    boxes = torch.tensor([thing.box for thing in things])  # (n, 4)
    ground = GROUNDS.index(scene.ground)
    present = torch.zeros(len(KINDS) + len(COLOURS))
    present[kinds] = 1
    present[len(KINDS) + colours] = 1
    return {
        "owner": owner,  # −1 = background: "object" masks the values below
        "kind": torch.where(owner >= 0, kinds[owner], len(KINDS) + ground),
        "colour": torch.where(owner >= 0, colours[owner], NONE),
        "edges": (boxes[owner] - centre.repeat(1, 2)) * torch.tensor([cols, rows, cols, rows]) / 4,
        "character": characters(things, owner, centre),
        "centre": centre,
        "object": owner >= 0,
        "present": present,
        "count": torch.tensor(len(things)),
        "ground": torch.tensor(ground),
    }


def states(tower: CLIPVisionModel, pixels: Tensor, reset: float) -> list[Tensor]:
    """Outputs of the last two layers (B, 1+N, D), for pictures of any size.

    With probability `reset`, the [CLS] of a picture is reset before the second-last layer.
    """
    embedded = tower.embeddings(pixels, interpolate_pos_encoding=True)
    hidden = tower.pre_layrnorm(embedded)
    begun, layers, outputs = hidden[:, :1], tower.encoder.layers, []
    for depth, layer in enumerate(layers):
        if depth == len(layers) - 2:
            again = torch.rand(len(pixels), 1, 1, device=pixels.device) < reset
            hidden = torch.cat([torch.where(again, begun, hidden[:, :1]), hidden[:, 1:]], 1)
        hidden = layer(hidden, None)
        outputs.append(hidden)
    return outputs[-2:]


def loss(heads: Heads, states: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, dict]:
    """The sum of the losses of patches and pictures, and values for the log."""
    patch, picture = heads(states)
    kind, colour, edges, character, place = patch.float().split(PATCH_FACTS, -1)
    present, count, ground = picture.float().split(PICTURE_FACTS, -1)
    on_object, on_sign = truth["object"], truth["character"] != NONE
    total = (
        cross_entropy(kind[on_object], truth["kind"][on_object])
        + 0.3 * cross_entropy(kind[~on_object], truth["kind"][~on_object])
        + cross_entropy(colour[on_object], truth["colour"][on_object])
        + 2 * (edges - truth["edges"])[on_object].abs().mean()
        + PLACE_WEIGHT * (place - truth["centre"]).abs().mean()
        + 3 * presence_loss(present, truth["present"])
        + 0.3 * cross_entropy(count, truth["count"])
        + 0.3 * cross_entropy(ground, truth["ground"])
    )
    shown = {}
    if on_sign.any():
        letters = truth["character"][on_sign]
        total = total + cross_entropy(character[on_sign], letters)
        inked = letters < len(CHARACTERS)
        said = (character[on_sign].argmax(-1) == letters)[inked]
        shown["character_accuracy"] = said.float().mean().item()
    right = kind.argmax(-1) == truth["kind"]
    return total, shown | {
        "patch_accuracy": right[on_object].float().mean().item(),
        "ground_accuracy": (ground.argmax(-1) == truth["ground"]).float().mean().item(),
        "edge_error_patches": 4 * (edges - truth["edges"])[on_object].abs().mean().item(),
        "place_error": (place - truth["centre"]).abs().mean().item(),
        "presence_loss": presence_loss(present, truth["present"]).item(),
    }
