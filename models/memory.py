"""Whether a model and its largest prompt fit on a device: said before loading, not halfway through.

A rough account on purpose, of what grows with the model and the prompt:

    weights   parameters
    cache     keys and values of every row, layer and lane:  2 · L · kv heads · head size · S
    work      rows on their way through one layer of the LLM:  S · (3 I + 4 D)
              and patches through one layer of the encoder:    4 N · (2 I' + 6 D')

each times the bytes of a number. S is N visual tokens and `TEXT` rows around them. No family makes
fewer than one token of four patches. Lanes take steps in turn, so one lane works at a time.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog import ModelCard
from models.engine.turns import TURNS

if TYPE_CHECKING:
    from models.engine.base import Adapter

TEXT = 1024  # rows of the longest question, of the chat template and of the longest answer
LANES = 4
PATCHES = 4  # to a visual token at most
UNITS = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number
GIB = 2**30
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """Bytes that a model takes while it answers."""

    weights: int
    cache: int
    work: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work

    def __str__(self) -> str:
        parts = ((name, getattr(self, name)) for name in ("weights", "cache", "work"))
        return f"{_said(self.total)} ({', '.join(f'{name} {_said(part)}' for name, part in parts)})"


def needed(config: Any, tokens: int, dtype: str, lanes: int = LANES) -> Memory:
    """For `lanes` lanes on an upload of `tokens` visual tokens."""
    unit = UNITS[dtype]
    cache, work = (unit * numbers for numbers in prompt(config, tokens, lanes))
    return Memory(parameters(config) * unit, cache, work)


def prompt(config: Any, tokens: int, lanes: int) -> tuple[int, int]:
    """Numbers in the caches of all lanes, and those that one lane works on at once."""
    llm, encoder, rows = config.text_config, config.vision_config, tokens + TEXT
    head = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    row = 2 * llm.num_hidden_layers * llm.num_key_value_heads * head
    inner = rows * (3 * llm.intermediate_size + 4 * llm.hidden_size)
    outer = PATCHES * tokens * (2 * encoder.intermediate_size + 6 * encoder.hidden_size)
    return lanes * rows * row, max(inner, outer)


def parameters(config: Any) -> int:
    """How many numbers the model of a config has, tied ones once; nothing is allocated."""
    import torch
    from transformers import AutoModelForImageTextToText

    with TURNS.load(), torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return sum(weight.numel() for weight in model.parameters())


def free(device: str) -> int | None:
    """Bytes that can be had on a device now; None where the system does not tell."""
    import torch

    if torch.device(device).type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept  # which torch has, and would use again
    if torch.device(device).type == "meta":
        return None  # nothing is held there
    lines = MEMINFO.read_text().splitlines() if MEMINFO.is_file() else []
    told = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(told[0]) * 1024 if told else None


def check(card: ModelCard, config: Any, device: str, dtype: str) -> None:
    """Refuse a model that cannot fit on a device beside the largest prompt it is made for."""
    wanted, there = needed(config, card.tokens, dtype), free(device)
    if there is None or wanted.total <= there:
        return
    smaller = " or set TOKENSCOPE_DTYPE=bfloat16" if dtype == "float32" else ""
    raise ValueError(
        f"{card.title} needs {wanted} in {dtype}, and {_said(there)} is free on {device}; "
        f"choose a smaller model{smaller}."
    )


def check_clip(card: ModelCard, adapter: Adapter, frames: int, lanes: int) -> None:
    """Refuse a clip that does not fit on the device beside its model, which is loaded."""
    unit, there = adapter.model.dtype.itemsize, free(str(adapter.device))
    tokens = card.tokens * frames // card.frames
    more = unit * sum(prompt(adapter.model.config, tokens, lanes))
    if there is not None and more > there:
        raise ValueError(
            f"{frames} frames need {_said(more)} beside {card.title} itself, and {_said(there)} "
            f"is free on {adapter.device}; ask for fewer frames or fewer methods."
        )


def release() -> None:
    """Give back what nothing refers to any more, to the system and to the device."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _said(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
