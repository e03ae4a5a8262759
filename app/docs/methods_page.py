"""docs/methods.md and the README's table, from the classes, their tests and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from app.docs.answers import Report, answers
from app.docs.shown import SHOWN
from app.render.knobs import knobs
from app.render.method_text import Method, Row, place, positions, rows
from app.render.table import markdown_table
from app.render.tested import holds, sentence
from app.request import NOUNS
from pruning.budget import Budget
from pruning.description import describe
from pruning.methods import METHODS
from pruning.methods.sparsevlm import LAYERS, RECYCLING

TEMPLATE = Path(__file__).with_name("methods_page.md")


def markdown(tested: Mapping[str, Any], answered: Report) -> str:
    """The page; `tested` is what tests/methods_report.py writes, `answered` what bench does."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        overview=_overview(),
        counted=_counted(),
        picture_question=SHOWN["image"].question,
        clip_question=SHOWN["video"].question,
        answers=answers(answered),
        sections="\n".join(_section(method, tested["methods"]) for method in METHODS),
        versions=", ".join(f"{name} {told}" for name, told in tested.items() if name != "methods"),
        laws=_laws(tested["methods"]),
    )


def short_table() -> str:
    """The README's."""
    lines = [
        (
            f"[`{method.name}`](docs/methods.md#{method.name})",
            f"{method.title}: {method.summary}",
            place(method),
            _media(method),
        )
        for method in METHODS
    ]
    return markdown_table(("name", "what it does", "where", "for"), lines)


def _counted() -> str:
    """What SparseVLM released under the label of 192 tokens, in the three ways of counting."""
    tokens, num_layers, counts = 576, 32, RECYCLING[1 / 3]
    ways = Budget(tokens, tuple(zip(LAYERS, counts, strict=True))).averages(num_layers)
    return (
        f"SparseVLM keeps {_listed(counts)} of {tokens} tokens from layers {_listed(LAYERS)} of "
        f"{num_layers} on: {ways.processed:.1f} processed, {ways.cached:.1f} cached, "
        f"{ways.handed_on:.1f} handed on."
    )


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}"


def _overview() -> str:
    lines = [
        (
            f"[`{method.name}`](#{method.name})",
            method.summary,
            place(method),
            positions(method),
            _media(method),
        )
        for method in METHODS
    ]
    return markdown_table(("name", "what it does", "where", "positions", "for"), lines)


def _media(method: Method) -> str:
    return " and ".join(NOUNS[kind] + "s" for kind in sorted(method.media))


def _section(method: Method, tested: Mapping[str, Any]) -> str:
    told = describe(method)
    lines = [(row.label, linked(row)) for row in rows(method, tested)]
    parts = [
        f'<a id="{method.name}"></a>\n\n## {method.title}',
        f"**{method.summary}**",
        f"{told.idea} {told.more}".rstrip(),
        markdown_table(("", ""), lines),
        *_knobs(method),
    ]
    return "\n\n".join(parts) + "\n"


def linked(row: Row) -> str:
    if row.link is None:
        return row.text
    words, address = row.link
    return row.text.replace(words, f"[{words}]({address})", 1)


def _knobs(method: Method) -> list[str]:
    """A table, if there are any."""
    lines = [(f"`{knob.name}`", knob.default, knob.limits, knob.meaning) for knob in knobs(method)]
    return [markdown_table(("knob", "default", "range", "what it is"), lines)] if lines else []


def _laws(tested: Mapping[str, Any]) -> str:
    """Every law, and who passes it."""
    known = [method.name for method in METHODS]
    laws = sorted({test for name in known for test in tested[name]["laws"]})
    lines = []
    for law in laws:
        ran = {name: tested[name]["laws"].get(law, {}) for name in known}
        passed = [name for name in known if holds(ran[name])]
        broken = [name for name in known if ran[name] and name not in passed]
        runs = sum(sum(counts.values()) for counts in ran.values())
        lines.append((sentence(law), _who(passed, known), ", ".join(broken) or "–", f"{runs:,}"))
    return markdown_table(("law", "holds for", "broken by", "runs"), lines)


def _who(names: Sequence[str], known: Sequence[str]) -> str:
    """All, all but a few, or those few."""
    others = [name for name in known if name not in names]
    if not others:
        return f"all {len(known)}"
    return f"all but {', '.join(others)}" if len(others) < len(names) else ", ".join(names) or "–"
