"""The updates that show a comparison on the board, while it runs and when it is finished."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from app.jobs import NOUNS
from app.page import history
from app.page.board import Board
from app.page.choices import model_label
from app.page.figures import figures_table
from app.page.held import ComparisonStore, HeldComparison
from app.page.pictures import thumbnail
from app.page.screen import Screen
from app.render.clip_timeline import clip_timeline_chart
from app.render.headline import headline
from app.render.latency import latency_chart
from app.render.staircase import staircase_chart
from app.render.summary import conditions_line, media_line
from app.render.text import format_percent, shorten
from models.catalog import ModelCard, find
from models.engine.record import Comparison, LaneResult

Update = dict[Any, Any]


def outputs(board: Board) -> list[Any]:
    """All components that these updates write."""
    return [
        *board.parts.values(),
        *board.columns,
        board.caption,
        board.headline,
        board.outside,
        board.bar,
        board.keeping.row,
        board.view,
        board.results,
        board.latency,
        board.staircase,
        board.over_time,
        board.clip_timeline,
        *board.inspector.outputs,
        board.figures,
        board.conditions,
        board.comparison,
        board.address,
        board.past,
        board.history,
    ]


def show_lanes(board: Board, screen: Screen) -> Update:
    """One column for each lane, below what was asked."""
    columns = {
        column: gr.Column(visible=index < len(screen.lanes))
        for index, column in enumerate(board.columns)
    }
    return columns | {
        board.caption: caption(screen),
        board.outside: note_html(screen.model, screen.question, screen.drawn),
        board.bar: gr.Row(visible=True),
        board.keeping.row: gr.Row(visible=False),
        board.view: "boxes" if asks_for_box(screen) else "tokens",
        **show_parts(board, screen),
    }


def show_parts(board: Board, screen: Screen) -> Update:
    return {board.parts[name]: html for name, html in screen.parts().items()}


def begin(board: Board, screen: Screen) -> Update:
    """Replace the previous comparison by waiting lanes."""
    return show_lanes(board, screen) | {
        board.headline: "",
        board.results: gr.Column(visible=False),
        board.comparison: None,  # otherwise Measure and Add to cases would take the previous one
    }


def finish(board: Board, held: HeldComparison) -> Update:
    """Every value of a finished comparison, with charts and figures."""
    comparison, screen = held.comparison, held.screen
    assert comparison is not None and screen is not None, "it was just held"
    return {
        **show_lanes(board, screen),
        board.headline: paragraphs(headline(comparison)),
        board.results: gr.Column(visible=True),
        board.latency: latency_chart(comparison),
        board.staircase: staircase_chart(comparison),
        **_over_time(board, comparison),
        **board.inspector.open(comparison),
        board.figures: figures_table(comparison),
        board.conditions: paragraphs(conditions_line(comparison), media_line(comparison.media)),
        board.comparison: held,
    }


def remember(board: Board, store: ComparisonStore, held: HeldComparison, past: Any) -> Update:
    """The address of what the board shows, and the history with it."""
    held_past = history.remember(past, store, held.address)
    return {
        board.address: held.address,
        board.past: history.addresses(held_past),
        board.history: history.thumbnails(held_past, held.address),
    }


def _over_time(board: Board, comparison: Comparison) -> Update:
    """The charts that only a clip has."""
    moving = comparison.media.kind == "video"
    return {
        board.over_time: gr.Column(visible=moving),
        board.clip_timeline: clip_timeline_chart(comparison) if moving else None,
    }


def caption(screen: Screen) -> str:
    """Picture, question, model and retention ratio of the lanes on the board."""
    asked = sorted({lane.asked_ratio for lane in screen.lanes if lane.asked_ratio is not None})
    ratios = [f"{' and '.join(map(format_percent, asked))} of the visual tokens"] if asked else []
    facts = escape(" · ".join([_title(screen.model), *ratios])) + _recorded(screen)
    alt = f"The {NOUNS[screen.media.kind]} of the question"
    return (
        f'<div class="caption" data-number="{screen.number}">'
        f'<img src="{thumbnail(screen.media)}" alt="{alt}">'
        f'<p class="asked">{escape(screen.question)}</p><p class="facts">{facts}</p></div>'
    )


def _recorded(screen: Screen) -> str:
    """The date and the machine of a comparison that did not run for this page."""
    conditions = screen.comparison.conditions if screen.comparison else {}
    if "recorded" not in conditions and not screen.opened:
        return ""
    machine = conditions.get("machine") or conditions.get("device", "")
    known = filter(None, (conditions.get("recorded", ""), machine))
    facts = escape(shorten(f"on {', '.join(known)}", 90))
    if screen.opened:
        return f' · <b class="recorded">Opened from a file</b> recorded {facts}'
    return f' · <b class="recorded">Recorded</b> {facts}'


def _title(model: str) -> str:
    card = find_or_none(model)
    return model_label(card) if card else shorten(model, 60)


def note_html(model: str, question: str, drawn: bool) -> str:
    """What to know about the answers in one line, which opens the details."""
    card = find_or_none(model)
    first, *details = (card.note_on(question, drawn) if card else "").splitlines() or [""]
    text = paragraphs(first)
    if details:
        summary = f"<summary>{escape(first)} <u>More</u></summary>"
        text = f"<details>{summary}{paragraphs(*details)}</details>"
    return f'<div class="note">{text}</div>' if first else ""


def find_or_none(model: str) -> ModelCard | None:
    """The card of a model; None for a recording of a model that is not listed here."""
    try:
        return find(model)
    except ValueError:
        return None


def asks_for_box(screen: Screen) -> bool:
    """Whether the question is for a box, by the true answer or by the lanes' answers."""
    if screen.truth is not None:
        return screen.truth.box is not None
    lanes = screen.comparison.lanes if screen.comparison else ()
    return any(isinstance(lane, LaneResult) and len(lane.boxes) for lane in lanes)


def paragraphs(*sentences: str) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
