"""The form follows what a person brings: the kind of upload, the model, the example."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.page.choices import (
    answers_note,
    default_lanes,
    method_choices,
    placeholder,
    retention_note,
)
from app.page.form import Form, chips_of
from app.page.handlers import alert
from app.page.lab import note_on
from app.page.notes import methods_note
from app.request import default_card, examples_of, first_kind
from app.settings import EXAMPLES, Settings
from models.catalog import ModelCard, find

Update = dict[Any, Any]


class Following:
    """What changes in the form of one page when something in it is chosen."""

    def __init__(self, form: Form, model: gr.Dropdown, settings: Settings) -> None:
        self.form, self.model, self.settings = form, model, settings

    def outputs(self) -> list[Any]:
        """All that hangs on the kind of upload and on the model."""
        form = self.form
        return [
            form.kind,
            form.tabs,
            self.model,
            form.question,
            form.chips,
            form.methods,
            *form.lab.selectors,
            form.lab.note,
            form.methods_note,
            form.retention_note,
            form.num_frames,
        ]

    def open_tab(self, tab: str, kind: str, model: str, methods: list[str], ratio: float) -> Update:
        """A tab that the model does not take brings the one that does."""
        if tab == kind:  # the tab followed the model
            return {self.form.kind: kind}
        card = find(model)
        card = card if tab in card.media else default_card(tab, self.settings)
        return self._changed(card, kind, tab, methods, ratio)

    def open_way(self, way: str) -> Update:
        """What is said of whole methods is said beside them only, and of parts beside those."""
        notes = {"methods": self.form.methods_note, "lab": self.form.lab.note}
        shown = {note: gr.HTML(visible=way == one) for one, note in notes.items()}
        return {self.form.way: way, **shown}

    def choose_part(self, *selected: str) -> Update:
        return {self.form.lab.note: note_on(selected)}

    def choose_model(self, kind: str, model: str, methods: list[str], ratio: float) -> Update:
        """A model that does not take the open tab's kind opens its own."""
        card = find(model)
        return self._changed(
            card, kind, kind if kind in card.media else first_kind(card), methods, ratio
        )

    def choose_example(self, kind: str, index: int) -> Update:
        form, example = self.form, examples_of(kind)[index]
        return {
            form.uploads[kind]: str(EXAMPLES / example["file"]),
            form.question: example["questions"][0]["question"],
            form.chips: chips_of(example),
        }

    def choose_methods(self, chosen: list[str]) -> Update:
        """No more than there are lanes."""
        kept = chosen[: self.settings.max_lanes - 1]
        update: Update = {self.form.methods_note: methods_note(kept)}
        if kept != chosen:
            update[self.form.methods] = gr.CheckboxGroup(value=kept)
            update[self.form.status] = alert(
                f"{len(kept)} methods fit; clear one to choose another."
            )
        return update

    def _changed(
        self, card: ModelCard, before: str, kind: str, methods: list[str], ratio: float
    ) -> Update:
        form, offered = self.form, method_choices(card.name)
        if kind == before:
            chosen = [name for name in methods if name in dict(offered)]
        else:
            chosen = default_lanes(card.name, kind, self.settings.max_lanes)
        moved = {} if kind == before else {form.chips: chips_of(None), **form.lab.follow(kind)}
        return moved | {
            form.kind: kind,
            form.tabs: gr.Tabs(selected=kind),
            self.model: card.name,
            form.question: gr.Textbox(info=answers_note(card.name), placeholder=placeholder(kind)),
            form.methods: gr.CheckboxGroup([(title, n) for n, title in offered], value=chosen),
            form.methods_note: methods_note(chosen),
            form.retention_note: retention_note(ratio, card.name),
            form.num_frames: gr.Slider(value=card.frames, visible=kind == "video"),
        }
