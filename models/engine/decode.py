"""Tokens after the prompt, one at a time, and their text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.engine.base import DecodeState
from models.engine.decoder import Decoder


def decode(
    decoder: Decoder,
    state: DecodeState,
    end_ids: frozenset[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[int]:
    """Token ids up to and with the one that ends the answer; greedy at temperature 0."""
    generator = torch.Generator().manual_seed(seed)
    logits, positions = state.logits, state.positions
    for remaining in reversed(range(max_new_tokens)):
        token = choose(logits, temperature, generator)
        yield token
        if token in end_ids or not remaining:
            return
        logits = decoder.step(token, positions, state.cache)
        positions = positions + 1


def choose(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """One token id. It is drawn on the CPU, so that a seed means the same on every device."""
    if temperature == 0:
        return int(logits.argmax())
    chances = (logits / temperature).softmax(dim=-1).cpu()
    return int(torch.multinomial(chances, 1, generator=generator))


class TextStream:
    """Growing ids as text deltas; joined, they are the text of all ids."""

    def __init__(self, to_text: Callable[[list[int]], str]) -> None:
        self.ids: list[int] = []
        self.text = ""
        self._to_text = to_text

    def push(self, token: int) -> str:
        """What `token` adds; nothing while it leaves a character unfinished."""
        self.ids.append(token)
        text = self._to_text(self.ids)
        return "" if text.endswith("\N{REPLACEMENT CHARACTER}") else self._advance(text)

    def finish(self) -> str:
        """What was held back."""
        return self._advance(self._to_text(self.ids))

    def _advance(self, text: str) -> str:
        delta, self.text = text[len(self.text) :], text
        return delta
