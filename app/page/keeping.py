""" "Add to cases" on the board: keeps its comparison in the visitor's own set, with remarks."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from app.cases.library import Library, Owner
from app.cases.people import MOST_TAG, VERDICTS
from app.guard.blocks import refusing
from app.page.cases_html import anchor
from app.page.cases_remarks import check_room, owner_of, remark
from app.page.held import HeldComparison, comparison_of

ADD = "Add to cases"
OWN = "window.tokenscope.own()"  # the secret of this browser, by which its set is found
HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}

Update = dict[Any, Any]


@dataclass(frozen=True)
class Keeping:
    """The components below the bar of the lanes."""

    row: gr.Row  # hidden until the comparison is kept
    told: gr.HTML
    verdict: gr.Radio
    tag: gr.Textbox
    note: gr.Textbox
    case: gr.Textbox  # id of what was kept
    own: gr.Textbox


def declare() -> Keeping:
    """Declare the components, in the order of reading."""
    with gr.Row(visible=False, elem_id="keeping") as row:
        told = gr.HTML("", elem_id="kept", apply_default_css=False)
        verdict = gr.Radio(list(VERDICTS.values()), label="Verdict", interactive=True)
        tag = gr.Textbox(label="Tag", max_length=MOST_TAG, interactive=True, min_width=120)
        note = gr.Textbox(label="Note", interactive=True, min_width=200, elem_id="keep-note")
    case, own = gr.Textbox(visible=False), gr.Textbox(visible=False)
    return Keeping(row, told, verdict, tag, note, case, own)


def wire_keeping(button: gr.Button, part: Keeping, comparison: gr.State, library: Library) -> None:
    """Connect the button; verdict, tag and note are saved when they change."""
    handlers = KeepHandlers(part, library)
    outputs = [part.row, part.told, part.verdict, part.tag, part.note, part.case]
    own = f"(held, own) => [held, {OWN}]"
    button.click(handlers.keep, [comparison, part.own], outputs, js=own, **HIDDEN)
    acts = {
        "verdict": (part.verdict, [part.verdict.input]),
        "tag": (part.tag, [part.tag.submit]),
        "note": (part.note, [part.note.submit, part.note.blur]),
    }
    for act, (value, events) in acts.items():
        gr.on(
            events,
            handlers.remarking(act),
            [value, part.case, part.own],
            [part.told, part.tag] if act == "tag" else part.told,
            js=f"(value, kept) => [value, kept, {OWN}]",
            **HIDDEN,
        )


class KeepHandlers:
    """The handlers of one board."""

    def __init__(self, part: Keeping, library: Library) -> None:
        self.part, self.library = part, library

    def keep(self, held: HeldComparison | None, own: str, request: gr.Request) -> Update:
        """Keep what the board shows; a refusal says why it cannot be kept."""
        comparison, part = comparison_of(held), self.part
        owner = owner_of(request, own)
        with refusing():
            check_room(self.library, owner)
            case = self.library.keep(comparison, owner)
            about = self.library.people(owner.kept, owner).of(case)
        return {
            part.row: gr.Row(visible=True),
            part.told: self._told(owner, case, about.tags),
            part.verdict: about.verdict or None,
            part.tag: "",
            part.note: about.note,
            part.case: case,
        }

    def remarking(self, act: str) -> Any:
        """The handler of a verdict, a tag or a note."""

        def save(value: str | None, case: str, own: str, request: gr.Request) -> Update:
            if act == "tag" and not value:
                return {self.part.told: gr.skip()}
            owner = owner_of(request, own)
            with refusing():
                check_room(self.library, owner)
                people = self.library.people(owner.kept, owner)
                remark(people, case, act, value or "")
                tags = people.of(case).tags
            update: Update = {self.part.told: self._told(owner, case, tags)}
            return update | ({self.part.tag: ""} if act == "tag" else {})

        return save

    def _told(self, owner: Owner, case: str, tags: tuple[str, ...] = ()) -> str:
        lasting = "" if self.library.lasts(owner) else " for an hour"
        seen = " Every login sees it." if owner.login and self.library.lasts(owner) else ""
        tagged = f" Tags: {escape(', '.join(tags))}." if tags else ""
        query = f"run={owner.kept}&case={case}"
        return f'<p role="status">{anchor(query, "Kept as a case")}{lasting}.{seen}{tagged}</p>'
