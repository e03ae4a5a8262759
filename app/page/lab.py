"""The Lab: lanes that combine a part before the LLM, a part inside it, and a position strategy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.choices import part_choices
from app.page.inputs import ChoiceInput
from app.page.notes import parts_note
from app.request import POSITIONS
from app.settings import Settings

LINE = (
    "A lane is one method's part before the LLM, another's inside it, and their positions. For "
    "several inside it, type each with its layer (of 32), such as dart@2+fastv@12."
)
NO_PART = ("Nothing", "")
LABELS = ("before the LLM", "inside it", "positions")  # of a lane's selectors
EMPTY = ("", "", "published")
# From lane to lane one thing changes: first the positions, then the part before the LLM.
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
Parts = tuple[str, str, str]  # of one lane: before the LLM, inside it, positions


@dataclass(frozen=True)
class Lab:
    """The Lab's components."""

    lanes: tuple[tuple[ChoiceInput, ...], ...]  # a selector for each of LABELS
    note: gr.HTML  # describes the chosen parts; laid out with the note on the methods

    @property
    def selectors(self) -> list[ChoiceInput]:
        return [selector for lane in self.lanes for selector in lane]

    def chosen(self, values: Update) -> list[Parts]:
        """What a person has chosen, lane by lane."""
        return [tuple(values[selector] for selector in lane) for lane in self.lanes]

    def follow(self, kind: str) -> Update:
        """Offer and suggest the parts for a kind of upload."""
        suggestion = suggested(kind, len(self.lanes))
        update: Update = {self.note: describe(suggestion)}
        for lane, parts in zip(self.lanes, suggestion, strict=True):
            for selector, offers, value in zip(lane, choices(kind), parts, strict=True):
                update[selector] = gr.Dropdown(offers, value=value)
        return update


def declare(kind: str, settings: Settings) -> Lab:
    """Lay out a row of selectors for each lane beside vanilla."""
    gr.HTML(f"<p>{LINE}</p>", elem_id="lab-line", apply_default_css=False)
    suggestion, lanes = suggested(kind, settings.max_lanes - 1), []
    for number, parts in enumerate(suggestion, start=1):
        with gr.Row(elem_classes="lab-lane", elem_id=f"lab-{number}"):
            lanes.append(
                tuple(
                    ChoiceInput(
                        offers,
                        value=part,
                        label=f"Lane {number}: {label}",
                        min_width=80,
                        allow_custom_value=label == LABELS[1],
                    )
                    for label, offers, part in zip(LABELS, choices(kind), parts, strict=True)
                )
            )
    note = gr.HTML(
        describe(suggestion),
        elem_id="lab-note",
        elem_classes="method-notes",
        apply_default_css=False,
        visible=False,
        render=False,
    )
    return Lab(tuple(lanes), note)


def choices(kind: str) -> list[list[tuple[str, str]]]:
    """(title, value) of each choice, for each selector of a lane."""
    parts = [[NO_PART, *part_choices(place, kind)] for place in ("before", "inner")]
    return [*parts, [(title.partition(":")[0], value) for title, value in POSITIONS]]


def suggested(kind: str, lanes: int) -> list[Parts]:
    """The parts that the Lab opens with; lanes without a suggestion are empty."""
    return [*SUGGESTED[kind], *[EMPTY] * lanes][:lanes]


def describe(lanes: Iterable[Parts]) -> str:
    """What the chosen parts and position strategies do, each once."""
    lanes = list(lanes)
    parts = [
        part
        for before, inner, _ in lanes
        for part in (before, *(stage.partition(".inner")[0] for stage in stages(inner)))
    ]
    return parts_note(parts, [positions for _, _, positions in lanes])


def composed_names(lanes: Iterable[Parts]) -> list[str]:
    """The name of each lane, such as "nuwa.before+fastv.inner+rpme", without empty lanes."""
    names = []
    for before, inner, positions in lanes:
        parts = [f"{before}.before"] * bool(before) + stages(inner)
        numbered = [str(positions)] * (positions != "published")
        if parts:
            names.append("+".join(parts + numbered))
    return names


def stages(inner: str) -> list[str]:
    """The names of a lane's parts inside the LLM: of one method, or as typed "dart@2+fastv@12"."""
    typed = (stage.strip().partition("@") for stage in str(inner or "").split("+"))
    return [f"{name}.inner{at}{layer}" for name, at, layer in typed if name]
