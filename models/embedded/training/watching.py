"""Both stages of the video model: `perception` and `answering` are those of the picture model.

The tower has no [CLS]. In its place, the mean of the features, weighted by received attention,
predicts the kinds and colours in a frame: so received attention has to find the objects. No
attention is supervised.

Few questions need time. So in training, the head on the visual rows also predicts how the object
of each token has moved so far, whether it changed colour and whether it entered. Clips have 4 to 32
frames of several sizes; no frame and no token is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import SiglipVisionModel

from models.embedded.build import PATCH, pixels
from models.embedded.build_video import GRID
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import perception
from models.embedded.training.canvas import batch_size, canvas, first_upload
from models.embedded.training.learner import Learner
from models.embedded.training.packing import packed, prefix
from models.embedded.training.perception import COLOUR_INDEX, KIND_INDEX, NONE
from models.embedded.world.clip_questions import WAYS, questions, way
from models.embedded.world.clips import FRAMES, Clip, draw_clip
from models.embedded.world.grounds import GROUNDS
from models.embedded.world.scenes import Scene, training_seed
from models.embedded.world.sprites import KINDS

LENGTHS = (4, 8, 12, 16, 24, 32)  # frames of a batch's clips
USUAL = 0.5  # share of the batches with `FRAMES` frames, as in use
LEAST_CELLS = 8  # of a frame's side
SEEDS = 1_000  # added to the seed: other uploads than those of the encoder's stage
TEXT_ROWS = 170  # rows of questions and answers after a clip
BOXES, BOX_WEIGHT = 0.25, 1.5  # share of the questions that ask for a box, and its weight
TIME = (len(WAYS), 2, 2)  # classes: direction so far, changed colour, entered


def states(tower: SiglipVisionModel, pictures: Tensor) -> Tensor:
    """The attention-weighted mean, then the features (B, 1+N, D), for pictures of any size."""
    hidden = tower.embeddings(pictures, interpolate_pos_encoding=True)
    for layer in tower.encoder.layers:
        entered, hidden = hidden, layer(hidden, None)
    received = received_attention(tower.encoder.layers[-1], entered)  # (B, N)
    return torch.cat([(received[..., None] * hidden).sum(1, keepdim=True), hidden], 1)


def received_attention(layer: nn.Module, entered: Tensor) -> Tensor:
    """Received attention (B, N), a mean over heads and over all tokens."""
    attention, normed = layer.self_attn, layer.layer_norm1(entered)
    queries, keys = (
        projection(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj)
    )  # (B, H, N, d)
    return (queries @ keys.transpose(2, 3) * attention.scale).float().softmax(-1).mean((1, 2))


def clip_shape(step: int, steps: int, seed: int) -> tuple[int, tuple[int, int]]:
    """Frames of a batch's clips, and the even numbers of rows and columns of a frame."""
    rng = np.random.default_rng([step, seed, 9])
    frames = FRAMES if rng.random() < USUAL else int(rng.choice(LENGTHS))
    rows, cols = canvas(step, steps, seed, GRID, LEAST_CELLS, multiple=2)
    return frames, (rows, cols)


def batch(step: int, *, steps: int, seed: int, rows: int) -> dict[str, Tensor]:
    """Clips of one length and size with packed questions, about `rows` rows in total."""
    frames, shape = clip_shape(step, steps, seed)
    count = batch_size(rows, frames * shape[0] * shape[1] // 4, TEXT_ROWS)
    first = first_upload(step, seed + SEEDS)
    made = []
    for index in range(first, first + count):
        clip = draw_clip(training_seed(index), frames, shape[0] * PATCH, shape)
        rng = np.random.default_rng([index, 5])
        asked = questions(clip, rng, count=13, boxes=BOXES)
        known = so_far(clip, shape[0] // 2, shape[1] // 2)
        row = packed(make_tokenizer(), asked, known.pop("owner"), BOX_WEIGHT, TEXT_ROWS, rng)
        made.append(row | {"frames": torch.from_numpy(clip.frames)} | known)
    stacked = {key: torch.stack([row[key] for row in made]) for key in made[0]}
    introduction = prefix(make_tokenizer(), "<video>", np.random.default_rng([step, seed, 8]))
    return stacked | {"prefix": introduction}


def so_far(clip: Clip, rows: int, cols: int) -> dict[str, Tensor]:
    """By visual token (T·cells,), facts about its object up to that time."""
    parts = [
        _seen(clip, scene, float(time), rows, cols)
        for scene, time in zip(clip.scenes, clip.times, strict=True)
    ]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _seen(clip: Clip, scene: Scene, time: float, rows: int, cols: int) -> dict[str, Tensor]:
    """The same for the tokens of one frame."""
    owner, centre = perception.owners(scene, rows, cols), perception.centres(rows, cols)
    actors = [actor for actor in clip.actors if actor.at(time) is not None]
    background = [len(KINDS) + GROUNDS.index(scene.ground), NONE, 0, 0, 0]
    facts, boxes = torch.tensor([background] * (len(actors) + 1)), torch.zeros(len(actors) + 1, 4)
    for row, (actor, thing) in enumerate(zip(actors, scene.things, strict=True)):
        begun = actor.at(actor.enter)
        assert begun is not None
        gone = WAYS.index(way(*np.subtract(thing.centre, begun.centre)))
        what = KIND_INDEX[thing.kind], COLOUR_INDEX[thing.colour]
        facts[row] = torch.tensor([*what, gone, int(time >= actor.turn), int(actor.enter > 0)])
        boxes[row] = torch.tensor(thing.box)
    known = facts[owner]
    return {
        "owner": torch.tensor([*map(clip.actors.index, actors), -1])[owner],
        "object": owner >= 0,
        "kind": known[:, 0],
        "colour": known[:, 1],
        "character": perception.characters(scene.things, owner, centre),
        "time": known[:, 2:],  # as in `TIME`
        "centre": centre,
        "box": boxes[owner],
    }


class Watcher(Learner):
    """The video model in training."""

    def __init__(self, model: Any, steps: int) -> None:
        super().__init__(model, steps, further=sum(TIME))

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """Projected and pooled tokens, and the newline (B, T·cells + 1, D)."""
        inner, frames = self.model.model, batch["frames"]
        with torch.no_grad():
            pictures = pixels(frames.flatten(0, 1))
            features = states(inner.vision_tower, pictures)[:, 1:]
        projected = inner.multi_modal_projector(features)
        cells = [side // PATCH for side in frames.shape[2:4]]
        pooled = pooled_tokens(projected, *cells)  # (B·T, cells, D)
        tokens = pooled.unflatten(0, frames.shape[:2]).flatten(1, 2)
        return torch.cat([tokens, inner.image_newline.expand(len(tokens), 1, -1)], 1)

    def further_loss(
        self, predicted: Tensor, batch: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of the predictions in `TIME`, over tokens on objects."""
        there = batch["object"]
        truths, parts = batch["time"][there].unbind(-1), predicted[there].split(TIME, -1)
        pairs = list(zip(parts, truths, strict=True))
        value = torch.stack([cross_entropy(logits, truth) for logits, truth in pairs]).sum()
        gone, turned, entered = ((logits.argmax(-1) == truth).float() for logits, truth in pairs)
        return value, {
            "way_right": gone[truths[0] != WAYS.index("nowhere")].mean().item(),
            "turned_right": turned.mean().item(),
            "entered_right": entered.mean().item(),
        }


def pooled_tokens(tokens: Tensor, rows: int, cols: int) -> Tensor:
    """Pools (F, rows·cols, D) to a quarter of the tokens, as OneVision's `apply_pooling` does.

    It is a layer of the model, not a compression method.
    """
    maps = tokens.transpose(1, 2).unflatten(-1, (rows, cols))
    half = nn.functional.interpolate(maps, (-(-rows // 2), -(-cols // 2)), mode="bilinear")
    return half.flatten(2).transpose(1, 2)
