"""One lane as HTML. Escapes every text that comes from a person or a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

from app.render.summary import HIT
from app.render.text import format_percent, word_diff
from app.worker.events import Event, LaneDone, LaneFailed, LaneStarted, PhaseDone, TextDelta

NEXT_PHASE = {"read": "encode", "encode": "compress", "compress": "prefill", "prefill": "decode"}
RATIO = "Visual tokens that an LLM layer reads, averaged over the layers, of all visual tokens"
IOU = f"Overlap of the box with the true box, from 0 to 1: right from {HIT} on"
LONG = 240  # characters of an answer of which the first lines are shown
SHOW_ALL = '<label class="all"><input type="checkbox"> Show the whole answer</label>'
PILLS = {"decode": "decoding"}  # text of a phase, if it is not the name


@dataclass
class Lane:
    """The state of a lane while its events arrive."""

    method: str
    title: str
    asked_ratio: float | None
    phase: str = "waiting"
    answer: str = ""
    failure: str = ""
    colour: str = ""
    row: Mapping[str, Any] | None = None  # of `lane_rows`, once the lane is done
    expected: str | None = None  # the right answer, if known
    vanilla: str | None = None  # vanilla's answer, once both are done

    def take(self, event: Event) -> None:
        if isinstance(event, LaneStarted):
            self.phase = "encode"
        elif isinstance(event, PhaseDone):
            self.phase = NEXT_PHASE.get(event.phase.name, self.phase)
        elif isinstance(event, TextDelta):
            self.phase, self.answer = "decode", self.answer + event.text
        elif isinstance(event, LaneDone):
            self.phase, self.answer = "done", event.result.answer
        elif isinstance(event, LaneFailed):
            self.phase, self.failure = "failed", event.failure.reason

    def stop(self) -> None:
        if self.busy:
            self.phase = "stopped"

    @property
    def busy(self) -> bool:
        return self.phase not in ("done", "failed", "stopped")


def lane_text(lane: Lane) -> str:
    """Title, phase, ratio, answer and token counts of a lane."""
    pill = PILLS.get(lane.phase, lane.phase)
    return (
        f'<article class="lane" data-phase="{lane.phase}" aria-label="{escape(lane.title)}" '
        f'style="--lane:{lane.colour}">'
        f"<header><h2>{escape(lane.title)}</h2>"
        f'<span class="pill {lane.phase}"><i></i><span>{pill}</span></span></header>'
        f'<p class="ratio" title="{RATIO}">{escape(_ratio(lane))}</p>'
        f'<p class="answer" aria-live="polite" aria-busy="{str(lane.busy).lower()}">'
        f"{_answer(lane)}</p>{SHOW_ALL * (len(lane.answer) > LONG)}"
        f"{_footer(lane)}</article>"
    )


def _ratio(lane: Lane) -> str:
    if lane.asked_ratio is None:
        return "all visual tokens"
    if lane.row:
        return str(lane.row["text"]["ratio"])
    return f"{format_percent(lane.asked_ratio)} of the visual tokens"


def _answer(lane: Lane) -> str:
    if lane.failure:
        return f'<span class="reason">{escape(lane.failure)}</span>'
    if lane.phase == "done" and not lane.answer.strip():
        return "<i>The answer is empty.</i>"
    if lane.vanilla is None:
        return escape(lane.answer) + ('<span class="caret"></span>' if lane.busy else "")
    runs = groupby(word_diff(lane.vanilla, lane.answer), key=itemgetter(1))
    texts = ((new, escape(" ".join(word for word, _ in words))) for new, words in runs)
    return " ".join(
        f'<mark title="not in vanilla&#39;s answer">{text}</mark>' if new else text
        for new, text in texts
    )


def _footer(lane: Lane) -> str:
    if lane.row is None:
        return ""
    title = f"All visual tokens, then those left after each stage: {lane.row['text']['tokens']}"
    tokens = f'<p class="count" title="{title}">{_stages(lane.row)}</p>'
    return f"<footer>{tokens}{_verdict(lane.row, lane.expected)}</footer>"


def _stages(row: Mapping[str, Any]) -> str:
    """How many visual tokens enter the LLM, and how many are left at its end."""
    total, before, last = row["stages"][0], row["tokens_before_llm"], row["stages"][-1]
    if before == last == total:
        return f"{total:,} enter the LLM"
    enter = f"{before:,} of {total:,} enter the LLM"
    return enter if before == last else f"{enter}, {last:,} reach its end"


def _verdict(row: Mapping[str, Any], expected: str | None) -> str:
    """Right or wrong; empty if the true answer is not known."""
    if row["iou"] is not None:
        right, text = row["iou"] >= HIT, f"IoU {row['text']['iou']}"
    elif row["exact_match"] is not None:
        right = row["exact_match"]
        text = "as expected" if right else f"expected “{expected}”"
    else:
        return ""
    title = f' title="{IOU}"' if row["iou"] is not None else ""
    sign, word = ("✓", "right") if right else ("✗", "wrong")
    return (
        f'<p class="verdict {word}"{title}>{escape(text)} '
        f'<span role="img" aria-label="{word}">{sign}</span></p>'
    )
