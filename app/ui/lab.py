"""The Lab: lanes composed of one method's part before the LLM and another's inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.settings import Settings
from app.ui.choices import POSITIONS, part_choices

LINE = "A lane is one method's part before the LLM, another's inside it, and how they number."
NO_PART = ("Nothing", "")
LABELS = ("before the LLM", "inside it", "positions")  # of a lane's selectors
# One thing changes from a lane to the next: first the positions, then the part before the LLM.
SUGGESTED = {
    "image": (
        ("visionzip", "fastv", "published"),
        ("visionzip", "fastv", "rpme"),
        ("nuwa", "fastv", "rpme"),
    ),
    "video": (
        ("flashvid", "fastv", "published"),
        ("flashvid", "fastv", "pesp"),
        ("fastvid", "fastv", "pesp"),
    ),
}

Update = dict[Any, Any]


@dataclass(frozen=True)
class Lab:
    """The Lab's components."""

    selectors: tuple[gr.Dropdown, ...]  # lane by lane: before, inner, positions

    def follow(self, kind: str) -> Update:
        """The parts that there are for such an upload, and those suggested."""
        lanes = len(self.selectors) // len(LABELS)
        filled = zip(self.selectors, choices(kind) * lanes, suggested(kind, lanes), strict=True)
        return {selector: gr.Dropdown(offers, value=value) for selector, offers, value in filled}


def declare(kind: str, settings: Settings) -> Lab:
    """Lay out a row of selectors for each lane beside vanilla."""
    lanes = settings.max_lanes - 1
    gr.HTML(f"<p>{LINE}</p>", elem_id="lab-line", apply_default_css=False)
    values, selectors = iter(suggested(kind, lanes)), []
    for lane in range(1, lanes + 1):
        with gr.Row(elem_classes="lab-lane", elem_id=f"lab-{lane}"):
            for label, offers in zip(LABELS, choices(kind), strict=True):
                named = f"Lane {lane}: {label}"
                selectors.append(gr.Dropdown(offers, value=next(values), label=named, min_width=80))
    return Lab(tuple(selectors))


def choices(kind: str) -> list[list[tuple[str, str]]]:
    """(what a person reads, what `composed` takes) for each selector of a lane."""
    parts = [[NO_PART, *part_choices(place, kind)] for place in ("before", "inner")]
    return [*parts, [(title.partition(":")[0], value) for title, value in POSITIONS]]


def suggested(kind: str, lanes: int) -> list[str]:
    """What every selector says at first; a lane too many says nothing."""
    filled = SUGGESTED[kind] + (("", "", "published"),) * lanes
    return [value for lane in filled[:lanes] for value in lane]


def composed(selected: Sequence[str]) -> list[str]:
    """The name of each lane, from what its selectors say; a lane of nothing is left out."""
    names = []
    for lane in range(0, len(selected), len(LABELS)):
        before, inner, positions = selected[lane : lane + len(LABELS)]
        parts = [f"{before}.before"] * bool(before) + [f"{inner}.inner"] * bool(inner)
        numbered = [positions] * (positions != "published")
        if parts:
            names.append("+".join(parts + numbered))
    return names
