"""The finished comparisons that open pages show, within a limit of memory."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import gradio as gr

from app.guard.blocks import refusal
from app.guard.sessions import HOUR
from models.engine.record import Comparison

GONE = (
    "This comparison is no longer held: the server keeps it for an hour, or less when many people "
    "compare. Press Compare again."
)


@dataclass(eq=False)
class HeldComparison:
    """The state of a page; `comparison` is None once it was dropped to free memory."""

    comparison: Comparison | None

    def __bool__(self) -> bool:
        return self.comparison is not None

    @property
    def num_bytes(self) -> int:
        """The size of the frames, which take nearly all memory."""
        return self.comparison.media.frames.nbytes if self.comparison else 0


class ComparisonStore:
    """Drops the oldest comparisons when all together exceed `max_bytes`; keeps the newest.

    Holds weak references: Gradio drops the comparison of a closed page with its session.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._entries: list[weakref.ref[HeldComparison]] = []  # oldest first
        self._lock = threading.Lock()

    def hold(self, comparison: Comparison) -> HeldComparison:
        held = HeldComparison(comparison)
        with self._lock:
            alive = [entry for ref in self._entries if (entry := ref())] + [held]
            total = sum(entry.num_bytes for entry in alive)
            while total > self.max_bytes and len(alive) > 1:
                oldest = alive.pop(0)
                total -= oldest.num_bytes
                oldest.comparison = None
            self._entries = list(map(weakref.ref, alive))
        return held


def comparison_state() -> gr.State:
    return gr.State(time_to_live=HOUR)


def comparison_of(held: HeldComparison | None) -> Comparison:
    """The comparison of a page's state; raises a refusal if it was dropped."""
    comparison = held.comparison if held else None
    if comparison is None:
        raise refusal(GONE)
    return comparison
