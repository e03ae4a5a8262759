"""Keeps the form consistent when a person chooses a kind of upload, a model or an example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.example_uploads import examples_of
from app.jobs import default_card, first_kind
from app.page.choices import (
    answers_note,
    default_lanes,
    method_choices,
    placeholder,
    retention_note,
)
from app.page.form import Form, chips_of
from app.page.handlers import alert
from app.page.lab import describe
from app.page.notes import methods_note
from app.request import Request
from app.settings import EXAMPLES, Settings
from models.catalog import ModelCard, find

Update = dict[Any, Any]
Values = dict[Any, Any]  # by component


class Following:
    """Updates of one page's form, one method per choice."""

    def __init__(self, form: Form, settings: Settings) -> None:
        self.form, self.settings = form, settings

    def inputs(self) -> set[Any]:
        """What `open_tab` and `choose_model` read."""
        form = self.form
        return {form.kind, form.model, form.methods, form.retention_ratio}

    def outputs(self) -> set[Any]:
        """What depends on the kind of upload and on the model."""
        form = self.form
        return {
            form.kind,
            form.tabs,
            form.model,
            form.question,
            form.chips,
            form.methods,
            *form.lab.selectors,
            form.lab.note,
            form.methods_note,
            form.retention_note,
            form.num_frames,
        }

    def open_tab(self, tab: str, values: Values) -> Update:
        """If the model does not take the tab's kind, choose one that does."""
        if tab == values[self.form.kind]:  # `choose_model` has opened it
            return {self.form.kind: tab}
        card = find(values[self.form.model])
        card = card if tab in card.media else default_card(tab, self.settings)
        return self._change(card, tab, values)

    def choose_model(self, values: Values) -> Update:
        """If the model does not take the open tab's kind, open the tab of its own."""
        card, kind = find(values[self.form.model]), values[self.form.kind]
        return self._change(card, kind if kind in card.media else first_kind(card), values)

    def open_way(self, way: str) -> Update:
        """Show the note on the methods or the note on the Lab's parts."""
        notes = {"methods": self.form.methods_note, "lab": self.form.lab.note}
        shown = {note: gr.HTML(visible=way == one) for one, note in notes.items()}
        return {self.form.way: way, **shown}

    def choose_part(self, values: Values) -> Update:
        return {self.form.lab.note: describe(self.form.lab.chosen(values))}

    def choose_example(self, kind: str, index: int) -> Update:
        form, example = self.form, examples_of(kind)[index]
        return {
            form.uploads[kind]: str(EXAMPLES / example["file"]),
            form.question: example["questions"][0]["question"],
            form.chips: chips_of(example),
        }

    def choose_methods(self, chosen: list[str]) -> Update:
        """Accept as many methods as there are lanes."""
        form, accepted = self.form, chosen[: self.settings.max_lanes - 1]
        update: Update = {form.methods_note: methods_note(accepted)}
        if accepted != chosen:
            update[form.methods] = gr.CheckboxGroup(value=accepted)
            update[form.status] = alert(
                f"{len(accepted)} methods fit; clear one to choose another."
            )
        return update

    def count_tokens(self, values: Values) -> str:
        """The retention ratio as a count of visual tokens."""
        form = self.form
        return retention_note(
            values[form.retention_ratio], values[form.model], values[form.num_frames]
        )

    def request_outputs(self) -> list[Any]:
        """What `restore` writes."""
        form = self.form
        return list({*self.outputs(), *form.by_field.values(), *form.uploads.values()})

    def restore(self, request: Request) -> Update:
        """Fill the form with a request; without its upload if the file is deleted."""
        form, card = self.form, find(request.model)
        kind = "video" if request.num_frames is not None else "image"
        sent = {
            form.kind: kind,
            form.methods: request.methods,
            form.retention_ratio: request.retention_ratio,
        }
        update = self._change(card, kind, sent)
        path = Path(str(request.upload))
        update[form.uploads[kind]] = str(path) if path.is_file() else None
        fields = {"question", "retention_ratio", "max_new_tokens", "temperature", "seed"}
        update |= {form.by_field[name]: getattr(request, name) for name in fields}
        if kind == "video":
            update[form.num_frames] = gr.Slider(value=request.num_frames, visible=True)
        return update

    def _change(self, card: ModelCard, kind: str, values: Values) -> Update:
        form, offered = self.form, method_choices(card.name)
        update: Update = {}
        if kind == values[form.kind]:
            names = dict(offered)
            chosen = [name for name in values[form.methods] if name in names]
        else:
            chosen = default_lanes(card.name, kind, self.settings.max_lanes)
            update = {form.chips: chips_of(None), **form.lab.follow(kind)}
        return update | {
            form.kind: kind,
            form.tabs: gr.Tabs(selected=kind),
            form.model: card.name,
            form.question: gr.Textbox(info=answers_note(card.name), placeholder=placeholder(kind)),
            form.methods: gr.CheckboxGroup([(title, n) for n, title in offered], value=chosen),
            form.methods_note: methods_note(chosen),
            form.retention_note: retention_note(values[form.retention_ratio], card.name),
            form.num_frames: gr.Slider(value=card.frames, visible=kind == "video"),
        }
