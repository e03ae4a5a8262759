"""Estimates the memory of a model before it is loaded, and of a request before it runs.

The estimate is rough; it covers what grows with the model and the prompt:

    weights   parameters
    cache     keys and values of every row, layer and lane:  2 · L · kv heads · head size · S
    work      rows inside one layer of the LLM:  S · (3 I + 4 D)
              patches inside one layer of the encoder:  4 N · (2 I' + 6 D')

each times the bytes of a number. S is N visual tokens and `TEXT` rows of text. At most four patches
are merged into a token, of SmolVLM sixteen. Lanes take turns, so only one lane works at a time.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog import ModelCard
from models.checkpoints import int4 as in_4_bits
from models.engine.turns import TURNS
from pruning.errors import ExplainedError

if TYPE_CHECKING:
    from models.engine.base import Adapter

TEXT = 1024  # rows of the longest question, the chat template and the longest answer
LANES = 4
SMALL = 10**8  # parameters of a model that answers on a CPU within a second
UNITS = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number
GIB = 2**30
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """Bytes in use while a model answers."""

    weights: int
    cache: int
    work: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work

    def __str__(self) -> str:
        parts = ((name, getattr(self, name)) for name in ("weights", "cache", "work"))
        details = ", ".join(f"{name} {_format_gib(part)}" for name, part in parts)
        return f"{_format_gib(self.total)} ({details})"


def estimate(
    config: Any, tokens: int, dtype: str, lanes: int = LANES, int4: bool = False
) -> Memory:
    """Memory of `lanes` lanes on an upload of `tokens` visual tokens."""
    unit = UNITS[dtype]
    cache, work = (unit * count for count in count_numbers(config, tokens, lanes))
    model = _without_tensors(config)
    weights = unit * _count(model)
    if int4:
        weights -= round((unit - in_4_bits.BYTES) * in_4_bits.linear_parameters(model))
    return Memory(weights, cache, work)


def count_numbers(config: Any, tokens: int, lanes: int) -> tuple[int, int]:
    """Numbers in the caches of all lanes, and in the work of one lane."""
    llm, encoder, rows = config.text_config, config.vision_config, tokens + TEXT
    head = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    row = 2 * llm.num_hidden_layers * llm.num_key_value_heads * head
    inner = rows * (3 * llm.intermediate_size + 4 * llm.hidden_size)
    merged = getattr(config, "scale_factor", 2) ** 2  # patches per visual token at most
    outer = merged * tokens * (2 * encoder.intermediate_size + 6 * encoder.hidden_size)
    return lanes * rows * row, max(inner, outer)


def parameters(config: Any) -> int:
    """Number of parameters, tied ones counted once. Allocates nothing."""
    return _count(_without_tensors(config))


def _count(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _without_tensors(config: Any) -> Any:
    import torch
    from transformers import AutoModelForImageTextToText

    with TURNS.load(), torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def free(device: str) -> int | None:
    """Free bytes on a device; None if unknown."""
    import torch

    if torch.device(device).type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused  # torch reuses what it reserved
    if torch.device(device).type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    if torch.device(device).type == "meta":
        return None  # allocates nothing
    lines = MEMINFO.read_text().splitlines() if MEMINFO.is_file() else []
    available = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(available[0]) * 1024 if available else None


def check(card: ModelCard, config: Any, device: str, dtype: str) -> None:
    """Raises `ExplainedError` if a model and one question in text do not fit on a device.

    What an upload needs is checked when it comes: see `lanes_at_once`.
    """
    required, available = estimate(config, 0, dtype, 1, card.int4), free(device)
    if available is None or required.total <= available:
        return
    smaller = " or set TOKENSCOPE_DTYPE=bfloat16" if dtype == "float32" else ""
    raise ExplainedError(
        f"{card.title} needs {required} in {dtype}, but {_format_gib(available)} is free on "
        f"{device}; choose a smaller model{smaller}."
    )


def lanes_at_once(name: str, adapter: Adapter, tokens: int, lanes: int) -> int:
    """Number of lanes, at most `lanes`, that fit beside the loaded model at the same time.

    Raises `ExplainedError` if a single lane on an upload of `tokens` visual tokens does not fit.
    """
    unit, available = adapter.model.dtype.itemsize, free(str(adapter.device))
    cache, work = (unit * count for count in count_numbers(adapter.model.config, tokens, 1))
    if available is None:
        return lanes
    if cache + work > available:
        raise ExplainedError(
            f"{tokens:,} visual tokens need {_format_gib(cache + work)} besides {name} "
            f"itself, but {_format_gib(available)} is free on {adapter.device}; choose a smaller "
            "picture, fewer frames or a smaller model."
        )
    return min(lanes, (available - work) // cache)


def share(needed: Memory, device: str) -> str:
    """ "3.1 of 11.6 GiB", and what follows if the largest request does not fit at once."""
    available = free(device)
    if available is None:
        return _format_gib(needed.total)
    text = f"{needed.total / GIB:.1f} of {_format_gib(available)}"
    large = "; for large uploads its lanes run one after another"
    return text + (large if needed.total > available else "")


def release() -> None:
    """Returns unreferenced memory to the system and the device."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _format_gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
