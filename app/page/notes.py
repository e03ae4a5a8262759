"""Notes on the chosen methods: one sentence each, and details as in docs/methods.md on demand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from app.render.knobs import Knob, knobs
from app.render.method_text import Method, Row, rows
from app.render.tested import results
from app.request import POSITIONS
from pruning.description import describe
from pruning.methods import METHODS


def methods_note(chosen: Iterable[str]) -> str:
    """One note per method; the presets of a method share it."""
    return _list(_methods(chosen))


def parts_note(parts: Iterable[str], numberings: Iterable[str]) -> str:
    """Notes on the methods of a Lab's parts, then on its position strategies."""
    titles = {value: title for title, value in POSITIONS}
    strategies = [
        _line(*titles[value].split(": ", 1))
        for value in dict.fromkeys(numberings)
        if value != "published"
    ]
    return _list([*_methods(filter(None, parts)), *strategies])


def _methods(chosen: Iterable[str]) -> list[str]:
    by_name = {method.name: method for method in METHODS}
    names = dict.fromkeys(one.split(":")[0] for one in chosen)
    methods = [by_name[name] for name in names if name in by_name]  # a person may type another
    return [_line(method.title, method.summary, _details(method)) for method in methods]


def _line(title: str, text: str, more: str = "") -> str:
    return f"<div><dt>{escape(title)}</dt><dd>{escape(text)}{more}</dd></div>"


def _list(lines: Sequence[str]) -> str:
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def _details(method: Method) -> str:
    description = describe(method)
    paragraphs = [_html(f"{description.idea} {description.more}".rstrip())]
    paragraphs += [
        f"<b>{escape(row.label)}</b> {_row_html(row)}" for row in rows(method, results()["methods"])
    ]
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    text += "".join(f"<p>{_knob(knob)}</p>" for knob in knobs(method))
    label = f'aria-label="More of {escape(method.title)}"'
    return f"<details><summary {label}>More</summary>{text}</details>"


def _knob(knob: Knob) -> str:
    default, limits, meaning = map(escape, (knob.default, knob.limits, knob.meaning))
    return f"<b>Knob</b> <code>{escape(knob.name)}</code> {default} ({limits}): {meaning}"


def _row_html(row: Row) -> str:
    if row.link is None:
        return _html(row.text)
    text, address = row.link
    link = f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(text)}</a>'
    return _html(row.text).replace(escape(text), link, 1)


def _html(text: str) -> str:
    """Escape the text and show backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
