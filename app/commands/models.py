"""`models`: lists the models with media, size, memory, and the command that fetches weights."""

from __future__ import annotations

import argparse
from typing import Any

from app.settings import Settings
from models.catalog import CATALOG, INT4, RANDOM, ModelCard

HEAD = ("name", "takes", "parameters", "GiB in bf16", "in fp32", "weights", "licence", "boxes")
NOTE = (
    "Memory is for four lanes on the largest upload that a model is made for. "
    f"A name with {RANDOM} after it, such as llava-1.5-7b{RANDOM}, is the same shape with random "
    f"weights: for times, not for answers. With {INT4} after it, the layers of the LLM are read in "
    "4 bits: see docs/models.md."
)


def add(commands: Any) -> None:
    commands.add_parser("models", help="list the models").set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> None:
    from app.render.table import text_table

    print(f"{text_table(HEAD, map(_row, CATALOG))}\n\n{NOTE}")


def _row(card: ModelCard) -> tuple[str, ...]:
    from models.grounding import FORMATS
    from models.loading import config_of
    from models.memory import GIB, estimate
    from models.weights import fetch_command, is_downloaded

    half, single = (
        estimate(config_of(card), card.tokens, dtype) for dtype in ("bfloat16", "float32")
    )
    return (
        card.name,
        " and ".join(sorted(card.media)),
        f"{single.weights // 4:,}",
        f"{half.total / GIB:.3g}",
        f"{single.total / GIB:.3g}",
        "here" if is_downloaded(card) else fetch_command(card),
        card.licence,
        FORMATS[card.grounding].written,
    )
