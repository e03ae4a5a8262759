"""Text about a method: one source for docs/methods.md, the README and the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.render.knobs import presets
from app.render.signals import signals
from app.render.tested import laws, parity
from pruning.base import CompressionMethod
from pruning.description import describe
from pruning.methods import create

Method = type[CompressionMethod]


@dataclass(frozen=True)
class Row:
    """One line about a method; `link` is a part of its text, and the address of that part."""

    label: str
    text: str
    link: tuple[str, str] | None = None


def rows(method: Method, tested: Mapping[str, Any]) -> tuple[Row, ...]:
    """The lines about a method, without its summary and knobs.

    Args:
        method: any of METHODS.
        tested: results of laws and parity tests, by method.
    """
    text, report = describe(method), tested.get(method.name)
    arxiv, pinned = method.paper.rpartition("/")[2], re.match(r"\S+ @ (\w+)", text.code)
    return (
        Row("Paper", text.paper, (f"arXiv {arxiv}", method.paper) if arxiv else None),
        Row("Code", text.code, (pinned[0], f"{method.code}/tree/{pinned[1]}") if pinned else None),
        Row("Where", text.where),
        Row("Signals", _by_preset(method, lambda one: signals(one.needs))),
        Row("Positions", text.positions),
        Row("Ours differs", text.differs),
        *([Row("Presets", names)] if (names := presets(method)) else []),
        Row("Parity", parity(report)),
        Row("Laws", laws(report)),
    )


def place(method: Method) -> str:
    """Where a method acts, as text."""
    words = {"before": "before the LLM", "inner": "inside the LLM", "decode": "in decode"}
    acting = [text for name, text in words.items() if method.acts(name)]
    return " and ".join(acting).replace("and inside the LLM", "and inside it") or "nowhere"


def positions(method: Method) -> str:
    """The numbering of survivors: "PERC; in `fix`: RPME"."""
    return _by_preset(method, _numbering)


def _numbering(method: CompressionMethod) -> str:
    before = [method.positions.before.name] if method.acts("before") else []
    inside = [method.positions.inner.name] if method.acts("inner") else []
    return " · ".join(dict.fromkeys(before + inside)) or "–"


def _by_preset(method: Method, text_of: Callable[[CompressionMethod], str]) -> str:
    """The text of the first preset, then of the presets that differ from it."""
    first, *others = method.PRESETS
    usual = text_of(create(method.name, first))
    presets: dict[str, list[str]] = {}
    for preset in others:
        presets.setdefault(text_of(create(method.name, preset)), []).append(f"`{preset}`")
    presets.pop(usual, None)
    return "; ".join(
        [usual, *(f"in {', '.join(names)}: {text}" for text, names in presets.items())]
    )
