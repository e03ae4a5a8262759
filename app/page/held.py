"""The finished comparisons that pages can show again, for an hour and within a limit of memory."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property

import gradio as gr

from app.guard.blocks import refusal
from app.guard.sessions import HOUR
from app.page.pictures import thumbnail
from app.page.screen import Screen
from app.request import Request
from models.engine.record import Comparison, LaneResult
from models.grounding import Region

GONE = (
    "This comparison is no longer held: the server keeps it for an hour, or less when many people "
    "compare. Press Compare again, or open its downloaded recording."
)


UNFINISHED = (
    "The board holds no finished comparison: it still runs, was stopped, or is an hour old. "
    "Press Compare, or open a downloaded recording."
)


@dataclass(eq=False)
class HeldComparison:
    """A comparison with what the page draws of it; both are None once they were dropped."""

    comparison: Comparison | None
    screen: Screen | None = None
    request: Request | None = None  # None: what the form cannot ask
    recorded: bool = False  # elsewhere or earlier: its times are not measured again here
    box: Region | None = None  # of the object, where an analysis knows it
    address: str = field(default_factory=lambda: secrets.token_urlsafe(12))  # in links, secret
    since: float = field(default_factory=time.monotonic)

    def __bool__(self) -> bool:
        return self.comparison is not None

    @property
    def num_bytes(self) -> int:
        """The size of frames, token maps, attention maps and pictures: nearly all memory."""
        if self.comparison is None:
            return 0
        lanes = [one for one in self.comparison.lanes if isinstance(one, LaneResult)]
        maps = sum(lane.trace.num_bytes for lane in lanes)
        maps += sum(lane.analysis.num_bytes for lane in lanes if lane.analysis)
        drawn = self.screen.num_bytes if self.screen else 0
        return self.comparison.media.frames.nbytes + maps + drawn

    @cached_property
    def thumbnail(self) -> str:
        """A picture of what was asked about, as a data URI."""
        return thumbnail(self.comparison.media) if self.comparison else ""

    def drop(self) -> None:
        self.comparison = self.screen = None


class ComparisonStore:
    """Comparisons by address. Drops the oldest when all together exceed `max_bytes`, and those of
    more than an hour; keeps the newest."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held: dict[str, HeldComparison] = {}  # oldest first
        self._lock = threading.Lock()

    def hold(self, held: HeldComparison) -> HeldComparison:
        with self._lock:
            self._held[held.address] = held
            self._drop_old()
            total = sum(one.num_bytes for one in self._held.values())
            while total > self.max_bytes and len(self._held) > 1:
                total -= self._drop(next(iter(self._held)))
        return held

    def find(self, address: str) -> HeldComparison | None:
        """The comparison at an address that a page sent; None if it was dropped."""
        with self._lock:
            self._drop_old()
            return self._held.get(address)

    def _drop_old(self) -> None:
        now = time.monotonic()
        for address in [one for one, held in self._held.items() if now - held.since > HOUR]:
            self._drop(address)

    def _drop(self, address: str) -> int:
        """Forget a comparison, also on the pages that show it; returns the bytes that it took."""
        held = self._held.pop(address)
        size = held.num_bytes
        held.drop()
        return size


def comparison_state() -> gr.State:
    return gr.State(time_to_live=HOUR)


def comparison_of(held: HeldComparison | None) -> Comparison:
    """The comparison of a page's state; raises a refusal if there is none, or it was dropped."""
    if held is None:
        raise refusal(UNFINISHED)
    if held.comparison is None:
        raise refusal(GONE)
    return held.comparison
