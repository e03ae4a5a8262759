"""Many questions about one upload in one row, and what each answer costs.

Each question sees the upload and itself only, at the positions it has when asked alone, so one
pass over the upload trains them all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as presence_loss
from torch.nn.functional import rms_norm
from transformers import PreTrainedTokenizerFast

from models.embedded.tokenizer import COORDINATES, PUNCTUATION
from models.embedded.world.questions import Question

MOST_ASKED = 16
POINTER_WIDTH = 64
RARITY = 4.0  # visual tokens that a question is about weigh more: there are few of them
SOFTNESS = (3.0, 0.8)  # neighbouring coordinates that share the target, from first step to last


def encoded(tokenizer: PreTrainedTokenizerFast, question: Question) -> tuple[list[int], int]:
    """Ids of everything after the picture, and how many of them are prompt."""
    prompt = tokenizer(f"\n{question.text} ASSISTANT:", add_special_tokens=False).input_ids
    answer = tokenizer(question.answer, add_special_tokens=False).input_ids
    return [*prompt, *answer, tokenizer.eos_token_id], len(prompt)


def packed(
    tokenizer: PreTrainedTokenizerFast,
    asked: list[Question],
    owner: Tensor,
    box_weight: float,
    length: int,
) -> dict[str, Tensor]:
    """Rows (R,) of ids, question number, place in the question, target of each row, its weight.

    And by question (Q,): the row that starts to answer, whether there is one, and which visual
    tokens (Q, N) it is about; `owner` (N,) is the thing that each visual token shows, −1 = none.
    """
    row = {
        "ids": torch.full((length,), tokenizer.pad_token_id),
        "question": torch.full((length,), -1),
        "place": torch.zeros(length, dtype=torch.long),
        "target": torch.zeros(length, dtype=torch.long),
        "weight": torch.zeros(length),
        "answering": torch.zeros(MOST_ASKED, dtype=torch.long),
        "asked": torch.zeros(MOST_ASKED, dtype=torch.bool),
        "about": torch.zeros(MOST_ASKED, len(owner), dtype=torch.bool),
    }
    start = 0
    for number, question in enumerate(asked):
        ids, prompt = encoded(tokenizer, question)
        end = start + len(ids)
        if end > length:
            continue
        answer = slice(start + prompt - 1, end - 1)  # the rows that predict the answer
        row["ids"][start:end] = torch.tensor(ids)
        row["question"][start:end] = number
        row["place"][start:end] = torch.arange(len(ids))
        row["target"][answer] = torch.tensor(ids[prompt:])
        row["weight"][answer] = (box_weight if question.box else 1.0) / (len(ids) - prompt)
        row["answering"][number], row["asked"][number] = start + prompt - 1, True
        row["about"][number] = torch.isin(owner, torch.tensor(question.subjects))
        start = end
    return row


class Pointer(nn.Module):
    """From the row that answers to the visual tokens that its question is about."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, POINTER_WIDTH), nn.Linear(width, POINTER_WIDTH)
        self.never = nn.Parameter(torch.tensor(-3.0))

    def loss(self, visual: Tensor, text: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, float]:
        """For states (B, N, D) and (B, R, D) of one layer; beside it, the share found at 0.5."""
        visual, text = (rms_norm(states, states.shape[-1:]) for states in (visual, text))
        rows = batch["answering"][..., None].expand(-1, -1, text.shape[-1])
        queries, keys = self.query(text.gather(1, rows)), self.key(visual)
        scores = (queries @ keys.transpose(1, 2)).float() / POINTER_WIDTH**0.5 + self.never
        scores, about = scores[batch["asked"]], batch["about"][batch["asked"]]  # (asked, N)
        found = ((scores > 0) == about).all(1).float().mean().item()
        weight = torch.where(about, RARITY, 1.0)
        return presence_loss(scores, about.float(), weight), found


def read(
    model: Any, prefix: list[int], visual: Tensor, batch: dict[str, Tensor]
) -> tuple[tuple[Tensor, ...], int]:
    """States (B, S, D) of every LLM layer over prefix, visual rows and questions.

    The last ones are normalised. Beside them, the row at which the questions begin.
    """
    llama, (size, count) = model.model.language_model, visual.shape[:2]
    head = len(prefix) + count
    before = llama.embed_tokens(torch.tensor(prefix)).expand(size, -1, -1)
    rows = torch.cat([before, visual, llama.embed_tokens(batch["ids"])], 1)  # (B, S, D)
    place = torch.arange(head).expand(size, -1)
    read = llama(
        inputs_embeds=rows,
        attention_mask=mask(batch["question"], head, rows.dtype),
        position_ids=torch.cat([place, head + batch["place"]], 1),
        use_cache=False,
        output_hidden_states=True,
    )
    return read.hidden_states, head


def answer_loss(logits: Tensor, batch: dict[str, Tensor], softness: float) -> Tensor:
    """Weighted cross-entropy of the rows (A, vocabulary) that answer."""
    answers = batch["weight"] > 0
    target, weight = batch["target"][answers], batch["weight"][answers]
    soft = soft_targets(logits.shape[1], softness)[target]
    cost = -(soft * logits.log_softmax(-1)).sum(-1)  # (A,)
    return (cost * weight).sum() / weight.sum()


def mask(question: Tensor, head: int, dtype: torch.dtype) -> Tensor:
    """(B, 1, S, S) additive: causal, and of the questions only one's own."""
    size, rows = question.shape
    number = torch.cat([torch.full((size, head), -2), question], 1)  # (B, S), −2 = the picture
    same = (number[:, None, :] == number[:, :, None]) | (number[:, None, :] == -2)
    seen = same & torch.ones(head + rows, head + rows, dtype=torch.bool).tril()
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def soft_targets(vocabulary: int, softness: float) -> Tensor:
    """(vocabulary, vocabulary): a coordinate's neighbours are nearly right, a word's are not."""
    table = torch.eye(vocabulary)
    first, last = COORDINATES
    place = torch.arange(last - first)
    near = torch.exp(-(((place[:, None] - place) / softness) ** 2) / 2)
    table[first:last, first:last] = near / near.sum(1, keepdim=True)
    return table


def shown(logits: Tensor, target: Tensor) -> dict[str, float]:
    """Teacher-forced: how far coordinates are off, and how many words are right."""
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
