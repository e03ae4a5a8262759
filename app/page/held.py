"""The comparisons that pages show, for as long as the server holds them."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import gradio as gr

from app.guard.blocks import refusal
from app.guard.sessions import HOUR
from models.engine.record import Comparison

GONE = (
    "This comparison is no longer held: that ends after an hour, or sooner while many compare. "
    "Compare again."
)


@dataclass(eq=False)
class Held:
    """One comparison; None once others needed the room."""

    comparison: Comparison | None

    def __bool__(self) -> bool:
        return self.comparison is not None


class Shelf:
    """Lets go of the oldest comparisons when all that pages show are larger than `most` bytes.

    The newest stays, whatever its size. Whose page was closed is let go of by Gradio.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: list[weakref.ref[Held]] = []  # oldest first
        self._lock = threading.Lock()

    def keep(self, comparison: Comparison) -> Held:
        held = Held(comparison)
        with self._lock:
            self._held.append(weakref.ref(held))
            self._make_room()
        return held

    def _make_room(self) -> None:
        here = [one for kept in self._held if (one := kept())]
        total = sum(map(_size, here))
        while total > self.most and len(here) > 1:
            oldest = here.pop(0)
            total -= _size(oldest)
            oldest.comparison = None
        self._held = [weakref.ref(one) for one in here]


def _size(held: Held) -> int:
    """Bytes; nearly all of a comparison is its frames."""
    return held.comparison.media.frames.nbytes if held.comparison else 0


def holder() -> gr.State:
    return gr.State(time_to_live=HOUR)


def held(kept: Held | None) -> Comparison:
    """The record, or a sentence to a visitor who comes back to an old page."""
    comparison = kept.comparison if kept else None
    if comparison is None:
        raise refusal(GONE)
    return comparison
