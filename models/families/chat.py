"""Tokenizes a question as one chat turn around the placeholder of one upload."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pruning.errors import ExplainedError, UnsupportedError


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, with its chat template.

    Repositories of llava-hf keep the template in chat_template.json, which tokenizers do not read.
    """
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    path = folder / "chat_template.json"
    if tokenizer.chat_template is None and path.is_file():
        tokenizer.chat_template = json.loads(path.read_text(encoding="utf-8"))["chat_template"]
    return tokenizer


def tokenize_turn(
    tokenizer: PreTrainedTokenizerBase, question: str, kind: str, marker: int
) -> tuple[Tensor, Tensor]:
    """Ids before and after the placeholder `marker`, for an upload of `kind`."""
    check_special_tokens(tokenizer, question)
    if tokenizer.chat_template is None:
        raise ExplainedError(
            "The checkpoint has no chat template; add one to tokenizer_config.json, "
            "chat_template.jinja or chat_template.json."
        )
    content = [{"type": kind}, {"type": "text", "text": question}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    starts = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids = torch.tensor(tokenizer(text, add_special_tokens=not starts).input_ids)
    places = (ids == marker).nonzero().flatten().tolist()
    if len(places) != 1:
        raise ExplainedError(
            f"The chat template gives {len(places)} placeholders for one {kind}, wanted 1 token "
            f"with id {marker}: template, tokenizer and config.json are from different checkpoints."
        )
    (at,) = places
    return ids[:at], ids[at + 1 :]


def check_special_tokens(tokenizer: PreTrainedTokenizerBase, question: str) -> None:
    """Raises `UnsupportedError` for a question with a special token, which is not read as text."""
    for token in sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}):
        if token in question:
            raise UnsupportedError(
                f"The question contains {token}, a special token of the model; remove it."
            )
