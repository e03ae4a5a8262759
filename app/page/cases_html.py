"""The Cases page as HTML: filter, summary, list, and the head of an open case.

Escapes every text that comes from a set, a model or a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from app.cases.filters import NO_VERDICT, SHOWS, SIZES, VANILLA, Filter, Table
from app.cases.people import VERDICTS
from app.cases.rates import TITLES, UNTESTED, interval_text
from app.cases.why import REASONS
from app.render.text import shorten

SORT_NAMES = {
    "": "order of the set",
    "iou_drop": "IoU drop",
    "tokens": "kept tokens",
    "size": "object's size",
    "answer": "answer",
}
ANSWER_FORMS = {  # figure: head of its column, form of its cells
    "iou": ("IoU", "{:.2f}"),
    "object_kept": ("object's tokens kept", "{:.0%}"),
    "object_merged": ("merged", "{:.0%}"),
    "object_dropped": ("dropped", "{:.0%}"),
    "on_object": ("survivor on the object", "{:.0%}"),
    "shift": ("shift, cells", "{:.1f}"),
    "reason": ("why", "{}"),
}
MARKS = {True: ("right", "✓"), False: ("wrong", "✗"), None: ("unknown", "·")}


def link(name: str, asked: Filter, **more: Any) -> str:
    """The query of an address: run, filter, and such as `case` and `page`."""
    return "&".join(filter(None, (urlencode({"run": name}), asked.query, urlencode(more))))


def anchor(query: str, text: str, **attributes: str) -> str:
    """A link that the page opens without loading; `text` is HTML."""
    given = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f'<a href="cases?{escape(query)}" data-query="{escape(query)}"{given}>{text}</a>'


def controls(names: Sequence[str], table: Table, asked: Filter) -> str:
    """The form of the filter, and links to common filters."""
    run, lanes = table.run.name, table.lanes
    kinds = sorted(set(table.cases.kind) - {""})
    tags = sorted({tag for tags in table.cases.tags for tag in tags})
    selects = [
        _select("run", "Run", {name: name for name in names}, run),
        _select("show", "Show", SHOWS, asked.show),
        _select("kind", "Kind", _any(kinds), asked.kind),
        _select("tag", "Tag", _any(tags), asked.tag),
        _select("verdict", "Verdict", _any([NO_VERDICT, *VERDICTS.values()]), asked.verdict),
        _select("size", "Object's size", _any(SIZES), asked.size),
        _select("lane", "Lane", {"": "first method"} | {one: one for one in lanes}, asked.lane),
        _select("reason", "Why this lane is wrong", _any(REASONS), asked.reason),
        _select("sort", "Sort by, in this lane", SORT_NAMES, asked.sort),
    ]
    drop = f"{asked.iou_drop:g}" if asked.iou_drop else ""
    quick = {"all cases": Filter()} | {
        f"vanilla ✓, {lane} ✗": Filter(right=(VANILLA,), wrong=(lane,))
        for lane in lanes
        if lane != VANILLA
    }
    links = "".join(
        anchor(link(run, one), escape(text), **({"aria-current": "true"} if one == asked else {}))
        for text, one in quick.items()
    )
    return (
        f'<nav class="quick" aria-label="Common filters">{links}</nav><form>{"".join(selects)}'
        f'<label>IoU drop from <input name="iou_drop" inputmode="decimal" value="{drop}"></label>'
        f'<label>Text <input name="text" type="search" value="{escape(asked.text)}"></label>'
        f"{_boxes('right', lanes, asked.right)}{_boxes('wrong', lanes, asked.wrong)}</form>"
    )


def _any(values: Any) -> dict[str, str]:
    return {"": "any"} | {value: value for value in values}


def _select(name: str, label: str, choices: Mapping[str, str], chosen: str) -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" * (value == chosen)}>{escape(text)}</option>'
        for value, text in choices.items()
    )
    return f'<label>{label} <select name="{name}">{options}</select></label>'


def _boxes(name: str, lanes: Sequence[str], chosen: Sequence[str]) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" name="{name}" value="{escape(lane)}"'
        f"{' checked' * (lane in chosen)}>{escape(lane)}</label>"
        for lane in lanes
    )
    return f"<fieldset><legend>{name.capitalize()} in</legend>{boxes}</fieldset>"


def summary_html(summary: Mapping[str, Any]) -> str:
    """Accuracy of each lane, 2 × 2 of vanilla and each method, and rates by group."""
    bars = "".join(_bar(lane["lane"], lane) for lane in summary["lanes"])
    parts = [f"<section><h2>Right, of {summary['cases']:,} cases</h2>{bars}</section>"]
    for pair in summary["pairs"]:
        lane, short = escape(pair["lane"]), escape(pair["lane"].partition("@")[0])
        parts.append(
            f"<section><h2>Vanilla × {lane}</h2><table><tr><th></th><th>{short} ✓</th>"
            f"<th>{short} ✗</th></tr><tr><th>vanilla ✓</th><td>{pair['both']:,}</td>"
            f"<td>{pair['vanilla_alone']:,}</td></tr><tr><th>vanilla ✗</th>"
            f"<td>{pair['lane_alone']:,}</td><td>{pair['none']:,}</td></tr></table>"
            f"<p>{_test(pair['p_holm'])}</p></section>"
        )
    groups = "".join(_groups(summary[name], title) for name, title in TITLES.items())
    further = f"<details><summary>By kind, size and tokens kept</summary>{groups}</details>"
    return f'<div class="summary">{"".join(parts)}{further if groups else ""}</div>'


def _test(p: float | None) -> str:
    return UNTESTED.capitalize() if p is None else f"McNemar p = {p:.2g}, adjusted by Holm"


def _groups(rates: Sequence[Mapping[str, Any]], title: str) -> str:
    names = dict.fromkeys(rate["group"] for rate in rates)
    bars = "".join(
        f"<h3>{escape(name)}</h3>"
        + "".join(_bar(rate["lane"], rate) for rate in rates if rate["group"] == name)
        for name in names
    )
    return f"<section><h2>Right, by {title}</h2>{bars}</section>" if bars else ""


def _bar(name: str, rate: Mapping[str, Any]) -> str:
    if rate["right"] is None and not rate["failed"]:
        return ""
    facts = [f"{interval_text(rate)}, {rate['scored']:,} cases"]
    facts += [f"{rate['failed']:,} failed"] * bool(rate["failed"])  # they are not in the rate
    return (
        f'<div class="rate" title="95 % interval"><span>{escape(name)}</span>'
        f'<i style="--share:{rate["right"] or 0:.3f}"></i><b>{", ".join(facts)}</b></div>'
    )


def cards(
    table: Table, asked: Filter, on_page: Sequence[str], thumbnails: Mapping[str, str], current: str
) -> str:
    """A card for each case: picture, question, and whether each lane is right."""
    right, reason = table.figure("right"), table.figure("reason")
    lane = asked.lane or next((one for one in table.lanes if one != VANILLA), VANILLA)
    names, items = _short_names(table.lanes), []
    for case_id in on_page:
        case, about = table.run.cases[case_id], table.cases.loc[case_id]
        marks = "".join(
            _mark(one, right.at[case_id, one], names[one]) for one in table.lanes_of(case_id)
        )
        facts = (reason.at[case_id, lane], " · ".join(filter(None, (about.verdict, *about.tags))))
        why = "".join(f"<small>{escape(one)}</small>" for one in facts if one and one == one)
        image = f'<img src="{thumbnails[case_id]}" alt="">' if thumbnails.get(case_id) else ""
        question = escape(shorten(case.question, 90))
        content = f"{image}<span>{question}</span><span class='marks'>{marks}</span>{why}"
        state = {"aria-current": "true"} if case_id == current else {}
        query = link(table.run.name, asked, case=case_id)
        items.append(f"<li>{anchor(query, content, **state)}</li>")
    return f'<ol class="cards">{"".join(items)}</ol>' if items else "<p>No case passes.</p>"


def _short_names(lanes: Sequence[str]) -> dict[str, str]:
    """Lanes without their ratios, where that still tells them apart."""
    short = {lane: lane.partition("@")[0] for lane in lanes}
    return short if len(set(short.values())) == len(short) else {lane: lane for lane in lanes}


def _mark(lane: str, right: Any, name: str = "") -> str:
    word, sign = MARKS[None if right is None or right != right else bool(right)]
    text = f"{sign} {escape(name)}" if name else sign
    return f'<i class="{word}" role="img" aria-label="{escape(lane)}: {word}">{text}</i>'


def pages(name: str, asked: Filter, page: int, count: int, size: int) -> str:
    """Links to the pages of the list."""
    last = max(0, -(-count // size) - 1)
    parts = [f"<span>{count:,} cases, page {page + 1} of {last + 1}</span>"]
    if page > 0:
        parts.insert(0, anchor(link(name, asked, page=page - 1), "previous page"))
    if page < last:
        parts.append(anchor(link(name, asked, page=page + 1), "next page"))
    return f'<nav class="pages" aria-label="Pages">{"".join(parts)}</nav>'


def case_head(table: Table, asked: Filter, case_id: str, chosen: Sequence[str]) -> str:
    """Question, answers, the way to the next case, and what a person may add."""
    case, about = table.run.cases[case_id], table.cases.loc[case_id]
    before, after = table.neighbours(asked, case_id, chosen)
    place = f"{list(chosen).index(case_id) + 1:,}" if case_id in chosen else "none"
    own, all_of = link(table.run.name, asked, case=case_id), link(table.run.name, asked)
    close = anchor(all_of, "Close <kbd>Esc</kbd>", **{"data-key": "Escape"})
    verdicts = "".join(
        f'<button type="button" data-act="verdict" data-key="{key}" '
        f'data-value="{escape(verdict * (verdict != about.verdict))}" '
        f'aria-pressed="{str(verdict == about.verdict).lower()}"><kbd>{key}</kbd> '
        f"{escape(verdict)}</button>"
        for key, verdict in VERDICTS.items()
    )
    tags = "".join(
        f"<span>{escape(tag)}</span>"  # of the set, which no remark changes
        if tag in case.tags
        else f'<button type="button" data-act="untag" data-value="{escape(tag)}" '
        f'title="Remove this tag">{escape(tag)} ×</button>'
        for tag in about.tags
    )
    true = f"True answer: {case.truth_text or 'not known'}"
    facts = escape(" · ".join(filter(None, (true, case.kind, case.place))))
    back = _step(table, asked, before, "←", "ArrowLeft")
    onward = _step(table, asked, after, "→", "ArrowRight")
    return (
        f'<nav aria-label="Cases of the filter">{back}<span>{place} of {len(chosen):,}</span>'
        f"{onward}{anchor(own, 'Link to this case', id='permalink')}{close}</nav>"
        f"<h2>{escape(case.question)}</h2><p>{facts}</p>{_answers(table, case_id)}"
        f'<div class="remarks">{verdicts}<form data-act="tag">{tags}<label>'
        '<span><kbd>T</kbd> tag</span><input id="tag" maxlength="60"></label></form>'
        "<label><span><kbd>N</kbd> note</span>"
        f'<textarea id="note" rows="1">{escape(about.note)}</textarea></label></div>'
    )


def _step(table: Table, asked: Filter, case_id: str, text: str, key: str) -> str:
    if not case_id:
        return ""
    return anchor(link(table.run.name, asked, case=case_id), text, **{"data-key": key})


def _answers(table: Table, case_id: str) -> str:
    """A row for each lane: answer, verdict, IoU, the object's tokens, and why it may be wrong."""
    figures = {
        name: table.figure(name).loc[case_id]
        for name in ("right", "answer", "failure", *ANSWER_FORMS)
    }

    def cell(name: str, lane: str, form: str = "{}") -> str:
        value = figures[name][lane]
        return escape(form.format(value)) if value is not None and value == value else "–"

    rows = []
    for lane in table.lanes_of(case_id):
        failed = figures["failure"][lane] is not None and cell("failure", lane) != "–"
        answer = cell("failure" if failed else "answer", lane)
        cells = [_mark(lane, figures["right"][lane]), answer]
        cells += [cell(name, lane, form) for name, (_, form) in ANSWER_FORMS.items()]
        row = "".join(f"<td>{one}</td>" for one in cells)
        rows.append(f"<tr><th>{escape(lane)}</th>{row}</tr>")
    names = ("lane", "right", "answer", *(name for name, _ in ANSWER_FORMS.values()))
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<table class="answers"><tr>{head}</tr>{"".join(rows)}</table>'
