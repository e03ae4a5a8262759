"""docs/methods.md and the README's table, from the classes and stored results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from app.docs.against import against
from app.docs.answers import Report, answers
from app.docs.examples import SHOWN
from app.docs.skills import skills
from app.jobs import NOUNS
from app.render.knobs import knobs
from app.render.method_text import Method, Row, place, positions, rows
from app.render.table import markdown_table
from app.render.tested import sentence
from pruning.budget import Budget
from pruning.description import describe
from pruning.methods.sparsevlm import LAYERS, RECYCLING

NOT_ASKED = "Not measured with the present weights: `make bench-methods` asks the questions."
TEMPLATE = Path(__file__).with_name("methods_page.md")


def markdown(
    tested: Mapping[str, Any],
    answered: Sequence[Report],
    methods: Sequence[Method],
    by_skill: Report | None = None,
) -> str:
    """The page. `tested` is the report of tests/methods_report.py, `answered` are of `bench`."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        overview=_overview(methods),
        counted=_counted(),
        picture_question=SHOWN["image"].question,
        clip_question=SHOWN["video"].question,
        answers="\n\n".join(answers(one, methods) for one in answered) or NOT_ASKED,
        against=against(answered) if answered else NOT_ASKED,
        skills=skills(by_skill),
        sections="\n".join(_section(method, tested["methods"]) for method in methods),
        versions=", ".join(
            f"{name} {value}" for name, value in tested.items() if name != "methods"
        ),
        laws=_laws(tested["methods"], methods),
    )


def short_table(methods: Sequence[Method]) -> str:
    """The table of the README."""
    lines = [
        (
            f"[`{method.name}`](docs/methods.md#{method.name})",
            f"{method.summary}{'' if len(method.media) > 1 else f' For {_media(method)} only.'}",
            _links(method),
        )
        for method in methods
    ]
    return markdown_table(("name", "what it does", "paper and code"), lines)


def _links(method: Method) -> str:
    links = {"paper": method.paper, "code": method.code}
    return ", ".join(f"[{word}]({address})" for word, address in links.items() if address) or "–"


def _counted() -> str:
    """SparseVLM's released counts for "192 tokens", in the three ways of counting."""
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


def _overview(methods: Sequence[Method]) -> str:
    lines = [
        (
            f"[`{method.name}`](#{method.name})",
            method.summary,
            place(method),
            positions(method),
            _media(method),
        )
        for method in methods
    ]
    return markdown_table(("name", "what it does", "where", "positions", "for"), lines)


def _media(method: Method) -> str:
    return " and ".join(NOUNS[kind] + "s" for kind in sorted(method.media))


def _section(method: Method, tested: Mapping[str, Any]) -> str:
    text = describe(method)
    lines = [(row.label, linked(row)) for row in rows(method, tested)]
    parts = [
        f'<a id="{method.name}"></a>\n\n## {method.title}',
        f"**{method.summary}**",
        f"{text.idea} {text.more}".rstrip(),
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
    """A table of the knobs, if there are any."""
    lines = [(f"`{knob.name}`", knob.default, knob.limits, knob.meaning) for knob in knobs(method)]
    return [markdown_table(("knob", "default", "range", "what it is"), lines)] if lines else []


def _laws(tested: Mapping[str, Any], methods: Sequence[Method]) -> str:
    """A row for each law; then the methods without results."""
    names = [method.name for method in methods if method.name in tested]
    others = [f"`{method.name}`" for method in methods if method.name not in tested]
    laws = sorted({law for name in names for law in tested[name]["laws"]})
    rows = []
    for law in laws:
        results = {name: tested[name]["laws"].get(law) for name in names}
        holding = [name for name, passed in results.items() if passed]
        broken = [name for name, passed in results.items() if passed is False]
        rows.append((sentence(law), _listing(holding, names), ", ".join(broken) or "–"))
    note = f"\n\nNot measured: {', '.join(others)}." if others else ""
    return markdown_table(("law", "holds for", "broken by"), rows) + note


def _listing(holding: Sequence[str], names: Sequence[str]) -> str:
    """All names, all but a few, or those few."""
    others = [name for name in names if name not in holding]
    if not others:
        return "all"
    if len(others) < len(holding):
        return f"all but {', '.join(others)}"
    return ", ".join(holding) or "–"
