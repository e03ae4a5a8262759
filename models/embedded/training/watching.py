"""The video model learns to see and to answer: what `perception` and `answering` are for pictures.

Without [CLS], what the last encoder layer attends to has to name the picture: the mean of the
features, weighted by the attention each receives, says which kinds and colours are there, so that
received attention has to find the objects. No attention is supervised.

Time gives few lessons too, so while training a linear head on the visual rows of a middle LLM
layer says of each token where it lies, what it shows, where its object's box is, which way that
has gone so far, whether it entered and whether it turned; another learns which tokens each
question is about, as in `answering`. Both are thrown away afterwards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipVisionModel,
)

from models.embedded.build import pixels
from models.embedded.build_video import POOLED, video_tokenizer
from models.embedded.training import perception
from models.embedded.training.learner import WHAT, Learner, place_loss, what_loss
from models.embedded.training.packing import packed
from models.embedded.training.perception import COLOUR_INDEX, KIND_INDEX
from models.embedded.world.clip_questions import WAYS, questions, way
from models.embedded.world.clips import Clip, draw_clip
from models.embedded.world.scenes import training_seed
from models.embedded.world.sprites import KINDS

LENGTHS = (8, 8, 8, 12, 8, 8, 8, 16)  # frames of a batch's clips, in turn
TEXT_ROWS = 140  # of questions and answers behind a clip
PLACE = 2 * POOLED + 400  # what a token is taught of place: row, column, its object's box
TIME = (len(WAYS), 2, 2)  # and of time: which way so far, whether it turned, whether it entered


def rolled_states(tower: SiglipVisionModel, pictures: Tensor) -> Tensor:
    """What attention finds and the features, (B, 1+N, D), position grid rolled a picture."""
    embeddings, batch = tower.embeddings, len(pictures)
    patches = embeddings.patch_embedding(pictures).flatten(2).transpose(1, 2)  # (B, N, D)
    place = embeddings.position_embedding.weight  # (N, D)
    states = patches + place[perception.rolled_grid(batch)]
    for layer in tower.encoder.layers:
        entered, states = states, layer(states, None)
    received = received_attention(tower.encoder.layers[-1], entered)  # (B, N)
    return torch.cat([(received[..., None] * states).sum(1, keepdim=True), states], 1)


def received_attention(layer: nn.Module, entered: Tensor) -> Tensor:
    """(B, N) what each token is given, a mean over heads and over the tokens that give."""
    attention, normed = layer.self_attn, layer.layer_norm1(entered)
    queries, keys = (
        projection(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj)
    )  # (B, H, N, d)
    return (queries @ keys.transpose(2, 3) * attention.scale).float().softmax(-1).mean((1, 2))


def batch(step: int, *, size: int, seed: int) -> dict[str, Tensor]:
    """Clips of one length with their questions; `size` of the shortest, fewer of longer ones."""
    frames = LENGTHS[step % len(LENGTHS)]
    count, rows = size * min(LENGTHS) // frames, []
    for index in range(step * size, step * size + count):
        clip = draw_clip(training_seed(index + seed * 10**8), frames)
        rng = np.random.default_rng([index, seed, 5])
        asked = questions(clip, rng, count=13, boxes=0.25)
        known = so_far(clip)
        row = packed(_tokenizer(), asked, known.pop("owner"), box_weight=1.5, length=TEXT_ROWS)
        rows.append(row | {"frames": torch.from_numpy(clip.frames)} | known)
    return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return video_tokenizer()


def so_far(clip: Clip) -> dict[str, Tensor]:
    """Of each visual token (T·cells,) what can be known of its object up to then."""
    known, owners = [], []
    for scene, time in zip(clip.scenes, clip.times, strict=True):
        actors = [actor for actor in clip.actors if actor.at(time) is not None]
        facts = torch.zeros(len(actors) + 1, 9, dtype=torch.long)
        facts[-1, 7:] = torch.tensor([len(KINDS), -100])  # background
        for row, (actor, thing) in enumerate(zip(actors, scene.things, strict=True)):
            begun = actor.at(actor.enter)
            assert begun is not None
            gone = (a - b for a, b in zip(thing.centre, begun.centre, strict=True))
            edges = (round(100 * min(max(edge, 0.0), 0.99)) for edge in thing.box)
            turned, entered = int(time >= actor.turn), int(actor.enter > 0)
            what = KIND_INDEX[thing.kind], COLOUR_INDEX[thing.colour]
            facts[row] = torch.tensor([*edges, WAYS.index(way(*gone)), turned, entered, *what])
        owner = perception.owners(scene, POOLED)
        known.append(facts[owner])
        indices = torch.tensor([*map(clip.actors.index, actors), -1])
        owners.append(indices[owner])
    owner = torch.cat(owners)
    return {"owner": owner, "object": owner >= 0, "facts": torch.cat(known)}


class Watcher(Learner):
    """The video model as it learns."""

    marker = "<video>"
    layer = 5

    def __init__(
        self,
        model: LlavaOnevisionForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        steps: int,
    ) -> None:
        super().__init__(model, tokenizer, steps, facts=PLACE + sum(TIME) + sum(WHAT))

    def visual(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, T·cells + 1, D): projected, pooled, and the newline."""
        inner, frames = self.model.model, batch["frames"]
        with torch.no_grad():
            states = inner.vision_tower.embeddings(pixels(frames.flatten(0, 1)))
            for layer in inner.vision_tower.encoder.layers:
                states = layer(states, None)
        pooled = inner.apply_pooling(inner.multi_modal_projector(states))  # (B·T, cells, D)
        tokens = pooled.unflatten(0, frames.shape[:2]).flatten(1, 2)
        return torch.cat([tokens, inner.image_newline.expand(len(tokens), 1, -1)], 1)

    def facts_loss(
        self, told: Tensor, batch: dict[str, Tensor], softness: float
    ) -> tuple[Tensor, dict[str, float]]:
        placed, *timed, named = told.split([PLACE, *TIME, sum(WHAT)], -1)
        there, facts = batch["object"], batch["facts"][batch["object"]]  # (objects' rows, 9)
        place, known = place_loss(placed, POOLED, there, facts[:, :4], softness)
        what, named_right = what_loss(named, *batch["facts"][..., 7:].unbind(-1))
        value, truths = place + what, facts[:, 4:7].unbind(1)
        pairs = [(logits[there], truth) for logits, truth in zip(timed, truths, strict=True)]
        value = value + sum(cross_entropy(logits, truth) for logits, truth in pairs)
        gone, turned, entered = (
            (logits.argmax(-1) == truth).float() for logits, truth in pairs
        )  # right or not
        return value, known | named_right | {
            "way_right": gone[truths[0] != WAYS.index("nowhere")].mean().item(),
            "turned_right": turned.mean().item(),
            "entered_right": entered.mean().item(),
        }
