"""A question as token ids: one chat turn around the place of one upload."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


def turn(
    tokenizer: PreTrainedTokenizerBase, question: str, kind: str, marker: int
) -> tuple[Tensor, Tensor]:
    """Ids of the turn before and after its placeholder `marker`, for an upload of `kind`."""
    for token in tokenizer.all_special_tokens:
        if token in question:
            raise ValueError(
                f"The question contains {token}, one of the model's own signs; leave it out."
            )
    content = [{"type": kind}, {"type": "text", "text": question}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    starts = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = torch.tensor(tokenizer(text, add_special_tokens=not starts).input_ids)
    (at,) = (ids == marker).nonzero().flatten().tolist()
    return ids[:at], ids[at + 1 :]
