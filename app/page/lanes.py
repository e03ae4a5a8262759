"""One lane as HTML. Everything that came from a person or a model is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from app.render.summary import percent, word_diff
from app.worker.events import Event, LaneDone, LaneFailed, LaneStarted, PhaseDone, TextDelta

HIT = 0.5  # IoU from which a box counts as found
NEXT_PHASE = {"read": "encode", "encode": "compress", "compress": "prefill", "prefill": "decode"}
PILLS = {"decode": "decoding"}  # what a person reads, where it is not the phase's name


@dataclass
class Lane:
    """What is known of a lane so far, while its events come in."""

    title: str
    asked: float | None
    colour: str  # the lane's own, as in the charts
    phase: str = "waiting"
    answer: str = ""
    failure: str = ""
    row: Mapping[str, Any] | None = None  # of `lane_rows`, once the lane is done
    expected: str | None = None  # the right answer, where it is known
    vanilla: str | None = None  # vanilla's answer, once both are known

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
    """Header, pill, answer and facts of a lane."""
    pill = PILLS.get(lane.phase, lane.phase)
    return (
        f'<article class="lane" data-phase="{lane.phase}" aria-label="{escape(lane.title)}" '
        f'style="--lane:{lane.colour}">'
        f"<header><h2>{escape(lane.title)}</h2>"
        f'<span class="pill {lane.phase}"><i></i>{pill}</span></header>'
        f'<p class="ratio">{escape(_ratio(lane))}</p>'
        f'<p class="answer" aria-live="polite" aria-busy="{str(lane.busy).lower()}">'
        f"{_answer(lane)}</p>"
        f"{_facts(lane)}</article>"
    )


def _ratio(lane: Lane) -> str:
    if lane.asked is None:
        return "all visual tokens"
    return lane.row["text"]["ratio"] if lane.row else f"{percent(lane.asked)} asked"


def _answer(lane: Lane) -> str:
    if lane.failure:
        return f'<span class="reason">{escape(lane.failure)}</span>'
    if lane.vanilla is not None:
        return _marked(lane.vanilla, lane.answer)
    caret = '<span class="caret"></span>' if lane.busy else ""
    return escape(lane.answer) + caret


def _marked(reference: str, answer: str) -> str:
    """The answer, words that the reference does not have in that place marked."""
    return " ".join(
        f'<mark title="not in vanilla&#39;s answer">{escape(word)}</mark>' if new else escape(word)
        for word, new in word_diff(reference, answer)
    )


def _facts(lane: Lane) -> str:
    if lane.row is None:
        return ""
    stages = escape(lane.row["text"]["tokens"])
    unit = " tokens" if len(lane.row["stages"]) == 1 else ""
    tokens = f'<p class="count" title="Visual tokens, then what each stage left">{stages}{unit}</p>'
    return f"<footer>{tokens}{_verdict(lane)}</footer>"


def _verdict(lane: Lane) -> str:
    """Right or wrong, where the truth is known; nothing where it is not."""
    assert lane.row is not None
    overlap, match = lane.row["iou"], lane.row["exact_match"]
    if overlap is not None:
        right, said = overlap >= HIT, f"IoU {lane.row['text']['iou']}"
    elif match is not None:
        right, said = match, "as expected" if match else f"expected “{lane.expected}”"
    else:
        return ""
    sign, word = ("✓", "right") if right else ("✗", "wrong")
    return (
        f'<p class="verdict {word}">{escape(said)} '
        f'<span role="img" aria-label="{word}">{sign}</span></p>'
    )
