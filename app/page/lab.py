"""The Lab: lanes composed of one method's part before the LLM and another's inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.choices import POSITIONS, part_choices
from app.page.inputs import ChoiceInput
from app.page.notes import parts_note
from app.settings import Settings

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

    selectors: tuple[ChoiceInput, ...]  # lane by lane: before, inner, positions
    note: gr.HTML  # what they do, to be laid out where the methods' own note is

    def follow(self, kind: str) -> Update:
        """The parts that there are for such an upload, and those suggested."""
        lanes = len(self.selectors) // len(LABELS)
        values = suggested(kind, lanes)
        filled = zip(self.selectors, choices(kind) * lanes, values, strict=True)
        update: Update = {self.note: note_on(values)}
        return update | {part: gr.Dropdown(offers, value=value) for part, offers, value in filled}


def declare(kind: str, settings: Settings) -> Lab:
    """Lay out a row of selectors for each lane beside vanilla."""
    lanes = settings.max_lanes - 1
    gr.HTML(f"<p>{LINE}</p>", elem_id="lab-line", apply_default_css=False)
    first, selectors = suggested(kind, lanes), []
    values = iter(first)
    for lane in range(1, lanes + 1):
        with gr.Row(elem_classes="lab-lane", elem_id=f"lab-{lane}"):
            for label, offers in zip(LABELS, choices(kind), strict=True):
                named = f"Lane {lane}: {label}"
                value = next(values)
                selectors.append(ChoiceInput(offers, value=value, label=named, min_width=80))
    note = gr.HTML(
        note_on(first),
        elem_id="lab-note",
        elem_classes="method-notes",
        apply_default_css=False,
        visible=False,
        render=False,
    )
    return Lab(tuple(selectors), note)


def choices(kind: str) -> list[list[tuple[str, str]]]:
    """(what a person reads, what `composed` takes) for each selector of a lane."""
    parts = [[NO_PART, *part_choices(place, kind)] for place in ("before", "inner")]
    return [*parts, [(title.partition(":")[0], value) for title, value in POSITIONS]]


def suggested(kind: str, lanes: int) -> list[str]:
    """What every selector says at first; a lane too many says nothing."""
    filled = SUGGESTED[kind] + (("", "", "published"),) * lanes
    return [value for lane in filled[:lanes] for value in lane]


def note_on(selected: Sequence[str]) -> str:
    """What the chosen parts and position strategies do, lane by lane, each told once."""
    every = len(LABELS)
    parts = [name for lane in range(0, len(selected), every) for name in selected[lane : lane + 2]]
    return parts_note(parts, selected[2::every])


def composed(selected: Sequence[str]) -> list[str]:
    """The name of each lane, from what its selectors say; a lane of nothing is left out."""
    names = []
    for lane in range(0, len(selected), len(LABELS)):
        before, inner, positions = selected[lane : lane + len(LABELS)]
        parts = [f"{before}.before"] * bool(before) + [f"{inner}.inner"] * bool(inner)
        numbered = [str(positions)] * (positions != "published")
        if parts:
            names.append("+".join(parts + numbered))
    return names
