"""What the chosen methods and parts do: a sentence each; folded in, what docs/methods.md says."""

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
    """Of the chosen methods, each once whatever its presets."""
    return _listed(_methods(chosen))


def parts_note(parts: Iterable[str], numberings: Iterable[str]) -> str:
    """Of the methods whose parts the Lab has, then of its position strategies, each once."""
    titles = {value: title for title, value in POSITIONS}
    strategies = [
        _line(*titles[value].split(": ", 1))
        for value in dict.fromkeys(numberings)
        if value != "published"
    ]
    return _listed([*_methods(filter(None, parts)), *strategies])


def _methods(chosen: Iterable[str]) -> list[str]:
    by_name = {method.name: method for method in METHODS}
    methods = [by_name[name] for name in dict.fromkeys(one.split(":")[0] for one in chosen)]
    return [_line(method.title, method.summary, _more(method)) for method in methods]


def _line(title: str, said: str, more: str = "") -> str:
    return f"<div><dt>{escape(title)}</dt><dd>{escape(said)}{more}</dd></div>"


def _listed(lines: Sequence[str]) -> str:
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def _more(method: Method) -> str:
    told = describe(method)
    paragraphs = [_html(f"{told.idea} {told.more}".rstrip())]
    paragraphs += [
        f"<b>{escape(row.label)}</b> {_linked(row)}" for row in rows(method, results()["methods"])
    ]
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    text += "".join(f"<p>{_knob(knob)}</p>" for knob in knobs(method))
    label = f'aria-label="More of {escape(method.title)}"'
    return f"<details><summary {label}>More</summary>{text}</details>"


def _knob(knob: Knob) -> str:
    default, limits, meaning = map(escape, (knob.default, knob.limits, knob.meaning))
    return f"<b>Knob</b> <code>{escape(knob.name)}</code> {default} ({limits}): {meaning}"


def _linked(row: Row) -> str:
    if row.link is None:
        return _html(row.text)
    words, address = row.link
    link = f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(words)}</a>'
    return _html(row.text).replace(escape(words), link, 1)


def _html(text: str) -> str:
    """Escaped, and what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
