"""The video model learns to see and to answer: what `perception` and `answering` are for pictures.

Without [CLS], what the last encoder layer attends to has to name the picture: the mean of the
features, weighted by the attention each receives, says which kinds and colours are there, so that
received attention has to find the objects. No attention is supervised.

Time gives few lessons too, so while training a linear head on the visual rows of a middle LLM
layer says of each token where it lies, where its object's box is, which way that has gone so far,
whether it entered and whether it turned; another learns which tokens each question is about, as
in `answering`. Both are thrown away afterwards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, rms_norm
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipVisionModel,
)

from models.embedded import perception
from models.embedded.build import pixels
from models.embedded.build_video import POOLED, video_tokenizer
from models.embedded.clip_questions import WAYS, questions, way
from models.embedded.clips import Clip, draw_clip
from models.embedded.packing import (
    SOFTNESS,
    Pointer,
    answer_loss,
    packed,
    read,
    shown,
    soft_targets,
)
from models.embedded.tokenizer import COORDINATES
from models.embedded.world import training_seed

LENGTHS = (8, 8, 8, 12, 8, 8, 8, 16)  # frames of a batch's clips, in turn
TEXT_ROWS = 110  # of questions and answers behind a clip
TIME_LAYER = 5  # LLM layers below the head that is taught time
TIME_WEIGHT, POINTER_WEIGHT = 0.5, 3.0


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
        asked = questions(clip, rng, count=10, boxes=0.25)
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
        facts = torch.zeros(len(actors) + 1, 7, dtype=torch.long)  # the last: background
        for row, (actor, thing) in enumerate(zip(actors, scene.things, strict=True)):
            begun = actor.at(actor.enter)
            assert begun is not None
            gone = (a - b for a, b in zip(thing.centre, begun.centre, strict=True))
            edges = (round(100 * min(max(edge, 0.0), 0.99)) for edge in thing.box)
            turned, entered = int(time >= actor.turn), int(actor.enter > 0)
            facts[row] = torch.tensor([*edges, WAYS.index(way(*gone)), turned, entered])
        owner = perception.owners(scene, POOLED)
        known.append(facts[owner])
        indices = torch.tensor([*map(clip.actors.index, actors), -1])
        owners.append(indices[owner])
    owner = torch.cat(owners)
    return {"owner": owner, "object": owner >= 0, "facts": torch.cat(known)}


class Watcher(nn.Module):
    """The model as it learns: what is saved is the model alone."""

    def __init__(
        self,
        model: LlavaOnevisionForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        steps: int,
    ) -> None:
        super().__init__()
        self.model, self.steps = model, steps
        marker = tokenizer.convert_tokens_to_ids("<video>")
        head = tokenizer("USER: <video>").input_ids
        self.prefix = head[: head.index(marker)]
        self.time = nn.Linear(model.config.text_config.hidden_size, 2 * POOLED + 400 + 5 + 2 + 2)
        self.pointer = Pointer(model.config.text_config.hidden_size)

    def visual(self, frames: Tensor) -> Tensor:
        """(B, T, H, W, 3) uint8 -> (B, T·cells + 1, D): pooled, projected, and the newline."""
        inner, tower = self.model.model, self.model.model.vision_tower
        with torch.no_grad():
            states = tower.embeddings(pixels(frames.flatten(0, 1)))
            for layer in tower.encoder.layers:
                states = layer(states, None)
        pooled = inner.apply_pooling(inner.multi_modal_projector(states))  # (B·T, cells, D)
        tokens = pooled.unflatten(0, frames.shape[:2]).flatten(1, 2)
        return torch.cat([tokens, inner.image_newline.expand(len(tokens), 1, -1)], 1)

    def loss(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict]:
        hidden, head = read(self.model, self.prefix, self.visual(batch["frames"]), batch)
        answers = batch["weight"] > 0
        logits = self.model.lm_head(hidden[-1][:, head:][answers]).float()  # (A, vocabulary)
        softness = float(np.interp(step / self.steps, (0, 1), SOFTNESS))
        value = answer_loss(logits, batch, softness)
        middle = hidden[TIME_LAYER][:, len(self.prefix) : head - 1]  # (B, T·cells, D)
        timed, told = self._time_loss(middle, batch, softness)
        pointed, found = self.pointer.loss(middle, hidden[TIME_LAYER][:, head:], batch)
        told |= shown(logits, batch["target"][answers]) | {"pointed_right": found}
        return value + TIME_WEIGHT * timed + POINTER_WEIGHT * pointed, told

    def _time_loss(
        self, states: Tensor, batch: dict[str, Tensor], softness: float
    ) -> tuple[Tensor, dict[str, float]]:
        told = self.time(rms_norm(states, states.shape[-1:])).float()
        row, column, edges, gone, turned, entered = told.split([POOLED, POOLED, 400, 5, 2, 2], -1)
        cell = torch.arange(states.shape[1]).expand(len(states), -1) % POOLED**2
        there, facts = batch["object"], batch["facts"][batch["object"]]  # (objects' rows, 7)
        first, last = COORDINATES
        soft = soft_targets(last, softness)[first:, first:][facts[:, :4]]
        edges = edges[there].unflatten(-1, (4, 100))
        value = (
            cross_entropy(row.flatten(0, 1), (cell // POOLED).flatten())
            + cross_entropy(column.flatten(0, 1), (cell % POOLED).flatten())
            - (soft * edges.log_softmax(-1)).sum(-1).mean()
            + cross_entropy(gone[there], facts[:, 4])
            + cross_entropy(turned[there], facts[:, 5])
            + cross_entropy(entered[there], facts[:, 6])
        )
        off = (edges.argmax(-1) - facts[:, :4]).abs().float() / 100
        moving = facts[:, 4] != WAYS.index("nowhere")
        right = gone[there].argmax(-1) == facts[:, 4]
        return value, {
            "column_right": (column.argmax(-1) == cell % POOLED).float().mean().item(),
            "edge_error": off.mean().item(),
            "way_right": right[moving].float().mean().item(),
            "turned_right": (turned[there].argmax(-1) == facts[:, 5]).float().mean().item(),
            "entered_right": (entered[there].argmax(-1) == facts[:, 6]).float().mean().item(),
        }
