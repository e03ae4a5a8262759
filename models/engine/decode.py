"""Generates tokens one at a time and converts them to text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.engine.base import DecodeState
from models.engine.decoder import Decoder, Narrowing


def decode(
    decoder: Decoder,
    state: DecodeState,
    end_ids: frozenset[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    narrowing: Narrowing | None = None,
) -> Iterator[int]:
    """Token ids up to the first of `end_ids`, which is included; greedy at temperature 0."""
    generator = torch.Generator().manual_seed(seed)
    logits, positions = state.logits, state.positions
    for remaining in reversed(range(max_new_tokens)):
        token = sample_token(logits, temperature, generator)  # (), stays on the device
        chosen = int(token)  # the one wait for a GPU
        yield chosen
        if chosen in end_ids or not remaining:
            return
        logits = decoder.step(token, positions, state.cache, narrowing)
        positions = positions + 1


def sample_token(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One token id (). Samples on the CPU: a seed gives the same draws on every device."""
    if temperature == 0:
        return logits.argmax()
    probabilities = (logits / temperature).softmax(dim=-1).cpu()
    return torch.multinomial(probabilities, 1, generator=generator)[0].to(logits.device)


class TextStream:
    """Converts ids to text deltas; the joined deltas are the text of all ids."""

    def __init__(self, to_text: Callable[[list[int]], str]) -> None:
        self.ids: list[int] = []
        self.text = ""
        self._to_text = to_text

    def push(self, token: int) -> str:
        """The text that `token` adds; "" while a character is incomplete."""
        self.ids.append(token)
        text = self._to_text(self.ids)
        return "" if text.endswith("\N{REPLACEMENT CHARACTER}") else self._advance(text)

    def finish(self) -> str:
        """The rest of the text."""
        return self._advance(self._to_text(self.ids))

    def _advance(self, text: str) -> str:
        delta, self.text = text[len(self.text) :], text
        return delta
