"""What a method is, in words: one source for docs/methods.md, the README and the page."""

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
    """One line about a method; `link` is the first words of a part of it, and where they lead."""

    label: str
    text: str
    link: tuple[str, str] | None = None


def rows(method: Method, tested: Mapping[str, Any]) -> tuple[Row, ...]:
    """What is told of a method wherever more is told than its summary; then come its knobs.

    Args:
        method: any of METHODS.
        tested: how every method fared, by name, in laws and parity tests.
    """
    told, ran = describe(method), tested.get(method.name)
    arxiv, pinned = method.paper.rpartition("/")[2], re.match(r"\S+ @ (\w+)", told.code)
    return (
        Row("Paper", told.paper, (f"arXiv {arxiv}", method.paper) if arxiv else None),
        Row("Code", told.code, (pinned[0], f"{method.code}/tree/{pinned[1]}") if pinned else None),
        Row("Where", told.where),
        Row("Signals", _by_preset(method, lambda made: signals(made.needs))),
        Row("Positions", told.positions),
        Row("Ours differs", told.differs),
        *([Row("Presets", turned)] if (turned := presets(method)) else []),
        Row("Parity", parity(ran)),
        Row("Laws", laws(ran)),
    )


def place(method: Method) -> str:
    """Where a method acts, by the verbs it has."""
    match method.acts("before"), method.acts("inner"):
        case True, True:
            return "before the LLM and inside it"
        case True, False:
            return "before the LLM"
        case False, True:
            return "inside the LLM"
    return "nowhere"


def positions(method: Method) -> str:
    """How survivors are numbered: "PERC; in `fix`: RPME"."""
    return _by_preset(method, _numbering)


def _numbering(made: CompressionMethod) -> str:
    before = [made.positions.before.name] if made.acts("before") else []
    inside = [made.positions.inner.name] if made.acts("inner") else []
    return " · ".join(dict.fromkeys(before + inside)) or "–"


def _by_preset(method: Method, tell: Callable[[CompressionMethod], str]) -> str:
    """What is told of the first preset, then of those that differ from it."""
    first, *others = method.PRESETS
    usual = tell(create(method.name, first))
    presets: dict[str, list[str]] = {}
    for preset in others:
        presets.setdefault(tell(create(method.name, preset)), []).append(f"`{preset}`")
    presets.pop(usual, None)
    return "; ".join([usual, *(f"in {', '.join(who)}: {told}" for told, who in presets.items())])
