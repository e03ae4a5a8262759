"""Packs many questions about one upload into one sequence, and computes the loss of the answers.

A conversation is one question, or a few with their answers. It attends to the text before the
upload, to the upload and to itself, at the position ids that it would have alone. So one pass over
the upload trains all questions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as presence_loss
from torch.nn.functional import rms_norm, scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedTokenizerFast

from models.embedded.tokenizer import COORDINATES, PUNCTUATION, SYSTEM
from models.embedded.world.questions import Question

MOST_ASKED = 32  # of one upload
POINTER_WIDTH = 64
RARITY = 4.0  # weight of the few visual tokens that a question is about
FOLLOWING = 0.2  # share of the questions that continue the conversation before them
INTRODUCED = 0.5  # share of the batches with words before the upload
SOFTNESS = (2.5, 0.8)  # width of a coordinate's target in coordinates, at first and last step


def prefix(tokenizer: PreTrainedTokenizerFast, marker: str, rng: np.random.Generator) -> Tensor:
    """Ids (P,) of the text before the upload."""
    words = ""
    if rng.random() < INTRODUCED:
        chosen = rng.choice(SYSTEM, size=int(rng.integers(1, 3)), replace=False)
        words = " ".join(map(str, chosen)) + "\n"
    ids = tokenizer(f"{words}USER: {marker}").input_ids
    return torch.tensor(ids[: ids.index(tokenizer.convert_tokens_to_ids(marker))])


def encoded(
    tokenizer: PreTrainedTokenizerFast, question: Question, following: bool = False
) -> tuple[list[int], int]:
    """Ids of a question and its answer, and the number of ids of the question."""
    before, backend = "USER: " if following else "\n", tokenizer.backend_tokenizer  # quick
    texts = [f"{before}{question.text} ASSISTANT:", question.answer]
    prompt, answer = (coded.ids for coded in backend.encode_batch(texts, add_special_tokens=False))
    return [*prompt, *answer, tokenizer.eos_token_id], len(prompt)


def packed(
    tokenizer: PreTrainedTokenizerFast,
    asked: list[Question],
    owner: Tensor,
    box_weight: float,
    length: int,
    rng: np.random.Generator | None = None,
) -> dict[str, Tensor]:
    """The packed questions: by row (R,), ids, conversation, place in it, target and weight.

    By question (Q,): the row that begins the answer, whether the question is there, and the visual
    tokens (Q, N) that it is about. `owner` (N,) is the thing that each visual token shows, −1 =
    none. Without `rng` every question is a separate conversation.
    """
    row = {
        "ids": torch.full((length,), tokenizer.pad_token_id),
        "conversation": torch.full((length,), -1),
        "place": torch.zeros(length, dtype=torch.long),
        "target": torch.zeros(length, dtype=torch.long),
        "weight": torch.zeros(length),
        "answering": torch.zeros(MOST_ASKED, dtype=torch.long),
        "asked": torch.zeros(MOST_ASKED, dtype=torch.bool),
        "about": torch.zeros(MOST_ASKED, len(owner), dtype=torch.bool),
    }
    start, place, conversation = 0, 0, 0
    for number, question in enumerate(asked):
        following = rng is not None and start > 0 and rng.random() < FOLLOWING
        ids, prompt = encoded(tokenizer, question, following)
        end = start + len(ids)
        if end > length:
            continue
        place, conversation = (place, conversation) if following else (0, conversation + 1)
        answer = slice(start + prompt - 1, end - 1)  # the rows that predict the answer
        row["ids"][start:end] = torch.tensor(ids)
        row["conversation"][start:end] = conversation
        row["place"][start:end] = place + torch.arange(len(ids))
        row["target"][answer] = torch.tensor(ids[prompt:])
        row["weight"][answer] = (box_weight if question.box else 1.0) / (len(ids) - prompt)
        row["answering"][number], row["asked"][number] = start + prompt - 1, True
        row["about"][number] = torch.isin(owner, torch.tensor(question.subjects))
        start, place = end, place + len(ids)
    return row


class Pointer(nn.Module):
    """Scores, from the row that begins an answer, the visual tokens that its question is about."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, POINTER_WIDTH), nn.Linear(width, POINTER_WIDTH)
        self.never = nn.Parameter(torch.tensor(-3.0))

    def loss(self, visual: Tensor, text: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, float]:
        """Loss for states (B, N, D) and (B, R, D) of one layer, and the share of right pointers."""
        visual, text = (rms_norm(states, states.shape[-1:]) for states in (visual, text))
        rows = batch["answering"][..., None].expand(-1, -1, text.shape[-1])
        queries, keys = self.query(text.gather(1, rows)), self.key(visual)
        scores = (queries @ keys.transpose(1, 2)).float() / POINTER_WIDTH**0.5 + self.never
        scores, about = scores[batch["asked"]], batch["about"][batch["asked"]]  # (asked, N)
        found = ((scores > 0) == about).all(1).float().mean().item()
        weight = torch.where(about, RARITY, 1.0)
        return presence_loss(scores, about.float(), weight), found


def read(
    model: Any, visual: Tensor, batch: dict[str, Tensor]
) -> tuple[tuple[Tensor, ...], int, int]:
    """States (B, S, D) of every LLM layer over prefix, visual rows and questions.

    The last states are normalised. Also returns the first row of the upload and of the questions.
    """
    llama, (size, count) = model.model.language_model, visual.shape[:2]
    first, head = len(batch["prefix"]), len(batch["prefix"]) + count
    before = llama.embed_tokens(batch["prefix"]).expand(size, -1, -1)
    rows = torch.cat([before, visual, llama.embed_tokens(batch["ids"])], 1)  # (B, S, D)
    place = torch.arange(head, device=rows.device).expand(size, -1)
    states = llama(
        inputs_embeds=rows,
        attention_mask=seen(batch["conversation"], head),
        position_ids=torch.cat([place, head + batch["place"]], 1),
        use_cache=False,
        output_hidden_states=True,
    )
    return states.hidden_states, first, head


def answer_loss(logits: Tensor, batch: dict[str, Tensor], softness: float) -> Tensor:
    """Weighted cross-entropy of the answering rows (A, vocabulary)."""
    answers = batch["weight"] > 0
    target, weight = batch["target"][answers], batch["weight"][answers]
    soft = soft_targets(logits.shape[1], softness, logits.device)[target]
    cost = -(soft * logits.log_softmax(-1)).sum(-1)  # (A,)
    return (cost * weight).sum() / weight.sum()


def seen(conversation: Tensor, head: int) -> Tensor:
    """Mask (B, 1, R, S) bool: the rows S that each question row attends to.

    These are the `head` rows of prefix and upload, and the earlier rows of its conversation.
    """
    size, rows = conversation.shape
    own = (conversation[:, None, :] == conversation[:, :, None]).tril()
    return torch.cat([own.new_ones(size, rows, head), own], 2)[:, None]


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, seen: Tensor, **_: Any
) -> tuple[Tensor, None]:
    """Attention (B, H, S, D) of the LLM over rows whose last R are questions: see `seen`.

    The rows before them are causal: their attention to questions is not computed.
    """
    head = query.shape[2] - seen.shape[2]
    causal = seen.new_ones(head, head).tril()
    first = part(query[:, :, :head], key[:, :, :head], value[:, :, :head], causal)
    questions = part(query[:, :, head:], key, value, seen)
    return torch.cat([first, questions], 2).transpose(1, 2), None


def part(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Attention of some rows. On a CPU, plain products train faster than torch's kernel."""
    if query.is_cuda:
        return scaled_dot_product_attention(query, key, value, attn_mask=seen)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    scores = scores.masked_fill_(~seen, torch.finfo(scores.dtype).min)
    with torch.autocast("cpu", enabled=False):  # which would copy the scores to float32 and back
        weights = scores.softmax(-1)
    return weights @ value


AttentionInterface.register("packed", attend)


def soft_targets(vocabulary: int, softness: float, device: torch.device | str = "cpu") -> Tensor:
    """Targets (vocabulary, vocabulary): one-hot for words, a Gaussian for coordinates."""
    table = torch.eye(vocabulary, device=device)
    first, last = COORDINATES
    place = torch.arange(last - first, device=device)
    near = torch.exp(-(((place[:, None] - place) / softness) ** 2) / 2)
    table[first:last, first:last] = near / near.sum(1, keepdim=True)
    return table


def shown(logits: Tensor, target: Tensor) -> dict[str, float]:
    """Values for the log: the error of coordinates and the share of right words, teacher-forced."""
    first, last = COORDINATES
    chosen = logits.argmax(-1)
    is_place = (target >= first) & (target < last)
    is_word = target >= last + len(PUNCTUATION)
    off = (chosen - target)[is_place].abs().clamp_max(100).float() / 100
    return {
        "coordinate_error": off.mean().item(),
        "coordinate_near": (off <= 0.05).float().mean().item(),
        "words_right": (chosen == target)[is_word].float().mean().item(),
    }
