"""The table that `python -m app models` prints: media, size, memory and weights of each model."""

from __future__ import annotations

from app.render.table import text_table
from models.catalog import CATALOG, RANDOM, ModelCard
from models.grounding import FORMATS
from models.loading import config_of
from models.memory import GIB, estimate
from models.weights import download_command, is_downloaded

HEAD = ("name", "takes", "parameters", "GiB in bf16", "in fp32", "weights", "licence", "boxes")
NOTE = (
    "Memory is for four lanes on the largest upload that a model is made for. "
    f"A name with {RANDOM} after it, such as llava-1.5-7b{RANDOM}, is the same shape with random "
    "weights: for times, not for answers."
)


def table() -> str:
    """A row for each model, and a note."""
    return f"{text_table(HEAD, map(_row, CATALOG))}\n\n{NOTE}"


def _row(card: ModelCard) -> tuple[str, ...]:
    half, single = (
        estimate(config_of(card), card.tokens, dtype) for dtype in ("bfloat16", "float32")
    )
    return (
        card.name,
        " and ".join(sorted(card.media)),
        f"{single.weights // 4:,}",
        f"{half.total / GIB:.3g}",
        f"{single.total / GIB:.3g}",
        "here" if is_downloaded(card) else download_command(card),
        card.licence,
        FORMATS[card.grounding].written,
    )
