"""Stage one: the encoder learns to say, at each patch, what is there and how far its edges are.

The grid of position embeddings is rolled by a random offset for each picture, so that features
learn to do without absolute place (`probe.py` says how far), and the language model has to read
it from its rotary positions, as in a large LLaVA. [CLS] names what is in the picture; half the time
its state is reset to the start before the layer whose attention the methods read, so that this
attention has to find the objects.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as presence_loss
from torch.nn.functional import cross_entropy
from transformers import CLIPVisionModel

from models.embedded.build import GRID
from models.embedded.world.scenes import MAX_OBJECTS, Scene
from models.embedded.world.sprites import COLOURS, KINDS

KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}
COLOUR_INDEX = {colour: index for index, colour in enumerate(COLOURS)}
_COVERED = 0.2  # share of a patch that makes it the object's


class Heads(nn.Module):
    """What is read off the features while training; thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.patch = nn.Linear(width, len(KINDS) + 1 + len(COLOURS) + 4)
        self.picture = nn.Linear(width, len(KINDS) + len(COLOURS) + MAX_OBJECTS + 1)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1+N, D) -> (B, N, kinds+1+colours+4) and (B, kinds+colours+counts)."""
        states = self.norm(states)
        return self.patch(states[:, 1:]), self.picture(states[:, 0])


def owners(scene: Scene, grid: int) -> Tensor:
    """(grid², ) index of the thing that each cell shows, −1 = background."""
    side = len(scene.owner) // grid
    cells = torch.from_numpy(scene.owner.copy()).long().reshape(grid, side, grid, side)
    cells = cells.permute(0, 2, 1, 3).reshape(grid * grid, side * side)
    if not scene.things:
        return torch.full((grid * grid,), -1)
    cover = torch.stack([(cells == index).float().mean(1) for index in range(len(scene.things))])
    share, owner = cover.max(0)
    return torch.where(share >= _COVERED, owner, -1)


def labels(scene: Scene) -> dict[str, Tensor]:
    """Per patch the kind, colour and edges of its object; per picture what is in it."""
    n = len(scene.things)
    owner = owners(scene, GRID)  # (N,)
    kinds = torch.tensor([KIND_INDEX[thing.kind] for thing in scene.things])
    colours = torch.tensor([COLOUR_INDEX[thing.colour] for thing in scene.things])
    boxes = torch.tensor([thing.box for thing in scene.things])  # (n, 4)
    row, col = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    centre = (torch.stack([col, row, col, row], -1).reshape(-1, 4) + 0.5) / GRID
    present = torch.zeros(len(KINDS) + len(COLOURS))
    present[kinds] = 1
    present[len(KINDS) + colours] = 1
    return {
        "owner": owner,  # −1 = background: whatever is looked up there is masked by "object"
        "kind": torch.where(owner >= 0, kinds[owner], len(KINDS)),
        "colour": torch.where(owner >= 0, colours[owner], -100),
        "edges": (boxes[owner] - centre) * GRID / 4,
        "object": owner >= 0,
        "present": present,
        "count": torch.tensor(n),
    }


def rolled_grid(batch: int) -> Tensor:
    """(B, N) the raster of patches, moved by a random offset for each picture."""
    offset = torch.randint(GRID, (2, batch, 1))
    row, col = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    return (row.reshape(-1) + offset[0]) % GRID * GRID + (col.reshape(-1) + offset[1]) % GRID


def rolled_states(tower: CLIPVisionModel, pixels: Tensor, reset: float) -> list[Tensor]:
    """Outputs of the last two layers (B, 1+N, D), position grid rolled for each picture.

    With probability `reset` a picture's [CLS] enters the layer before the last as it began.
    """
    embeddings, batch = tower.embeddings, len(pixels)
    patches = embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)  # (B, N, D)
    place = embeddings.position_embedding.weight  # (1+N, D)
    start = (embeddings.class_embedding + place[0]).expand(batch, 1, -1)
    states = tower.pre_layrnorm(torch.cat([start, patches + place[1:][rolled_grid(batch)]], 1))
    begun = states[:, :1]
    layers, outputs = tower.encoder.layers, []
    for depth, layer in enumerate(layers):
        if depth == len(layers) - 2:
            again = torch.rand(batch, 1, 1) < reset
            states = torch.cat([torch.where(again, begun, states[:, :1]), states[:, 1:]], 1)
        states = layer(states, None)
        outputs.append(states)
    return outputs[-2:]


def loss(heads: Heads, states: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, dict]:
    """Dense and picture-level terms, and what the log shows of them."""
    patch, picture = heads(states)
    kind, colour, edges = patch.float().split([len(KINDS) + 1, len(COLOURS), 4], -1)
    present, count = picture.float().split([len(KINDS) + len(COLOURS), MAX_OBJECTS + 1], -1)
    on_object = truth["object"]
    total = (
        cross_entropy(kind.flatten(0, 1), truth["kind"].flatten())
        + cross_entropy(colour.flatten(0, 1), truth["colour"].flatten())
        + 2 * (edges - truth["edges"])[on_object].abs().mean()
        + 3 * presence_loss(present, truth["present"])
        + 0.3 * cross_entropy(count, truth["count"])
    )
    right = kind.argmax(-1) == truth["kind"]
    return total, {
        "patch_accuracy": right[on_object].float().mean().item(),
        "edge_error_patches": 4 * (edges - truth["edges"])[on_object].abs().mean().item(),
        "presence_loss": presence_loss(present, truth["present"]).item(),
    }
