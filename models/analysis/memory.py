"""Memory that the measures of one lane need beside the model, counted from its config.

S rows of the prompt and the answer, R watched rows (question and answer), V visual rows, L layers,
H heads, D width, of the LLM:

    attention   of the watched rows, a probe and its gradient   3 · L · H · R · S · 4 bytes
    states      inputs of all layers, for the backward pass     L · S · D numbers
    one layer   visual rows to visual rows, and the mask        V² · 4 + S² bytes

A blocked cell comes after the measures. It needs up to four runs at once (open, blocked, and two
guesses of the blocked answer), of which each keeps the outputs, keys and values of all layers; d is
the width of a head, G the number of heads of keys:

    runs        4 · L · S · (D + 2 · G · d) numbers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.memory import UNITS

FLOAT = 4  # bytes of attention, in any number format of the model
RUNS = 4  # of a blocked cell, in memory at once


@dataclass(frozen=True)
class Kept:
    """Bytes of one lane without compression, the upper bound."""

    attention: int
    states: int
    one_layer: int
    runs: int  # of blocked cells, when the rest is gone

    @property
    def total(self) -> int:
        return self.attention + self.states + self.one_layer


def count_kept(config: Any, visual: int, text: int, answer: int, dtype: str) -> Kept:
    """For V visual rows, `text` rows of question and template, and `answer` tokens.

    All text counts as watched, which is a little more than the question.
    """
    llm, rows = config.text_config, visual + text + answer - 1  # the last token predicts nothing
    watched = text + answer - 1
    head_dim = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    row = llm.hidden_size + 2 * llm.num_key_value_heads * head_dim
    return Kept(
        3 * llm.num_hidden_layers * llm.num_attention_heads * watched * rows * FLOAT,
        llm.num_hidden_layers * rows * llm.hidden_size * UNITS[dtype],
        visual**2 * FLOAT + rows**2,
        RUNS * llm.num_hidden_layers * rows * row * UNITS[dtype],
    )
