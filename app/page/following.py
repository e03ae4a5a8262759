"""Keeps the form consistent when a person chooses a kind of upload, a model or an example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.example_uploads import examples_of, stories
from app.jobs import default_card, first_kind
from app.page import gaze
from app.page.choices import (
    default_lanes,
    method_choices,
    placeholder,
    retention_note,
)
from app.page.form import Form, chips_of, note_on_answers
from app.page.handlers import alert
from app.page.lab import composed_names, describe
from app.page.menu import menu
from app.page.notes import methods_note
from app.request import Request
from app.settings import EXAMPLES, Settings
from models.catalog import ModelCard, find

SAMPLING = ("max_new_tokens", "temperature", "seed")

Update = dict[Any, Any]
Values = dict[Any, Any]  # by component


class Following:
    """Updates of one page's form, one method per choice."""

    def __init__(self, form: Form, settings: Settings) -> None:
        self.form, self.settings = form, settings

    def inputs(self) -> set[Any]:
        """What `open_tab` and `choose_model` read."""
        form = self.form
        chosen = {form.kind, form.model, form.methods, form.retention_ratio}
        return {*chosen, *form.lab.selectors}

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
            form.menu,
            form.gaze,
            form.answers,
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
        form, parts = self.form, self.form.lab.chosen(values)
        names = [*values[form.methods], *composed_names(parts)]
        return {form.lab.note: describe(parts), form.gaze: gaze.shown(values[form.kind], names)}

    def choose_example(self, kind: str, values: Values, event: gr.EventData) -> Update:
        """The upload, question and retention ratio of an example's story."""
        form, example = self.form, examples_of(kind)[int(event.index)]
        told = stories().get(example["file"], {})
        update: Update = {
            form.uploads[kind]: str(EXAMPLES / example["file"]),
            form.question: told.get("question") or example["questions"][0]["question"],
            form.chips: chips_of(example),
            form.gaze: "",
        }
        if told:
            update[form.retention_ratio] = told["retention_ratio"]
            update |= self.count_tokens({**values, **update})
        return update

    def choose_methods(self, values: Values, event: gr.EventData) -> Update:
        """The chips that are pressed, as many as there are lanes, and the ratio that one needs."""
        form = self.form
        sent = getattr(event, "methods", None)
        sent = [str(name) for name in sent] if isinstance(sent, list) else values[form.methods]
        accepted = sent[: self.settings.max_lanes - 1]
        ratio = getattr(event, "ratio", None) if accepted == sent else None
        update: Update = {
            form.methods: accepted,
            form.methods_note: methods_note(accepted),
            form.menu: self._menu({**values, form.methods: accepted}),
            form.gaze: gaze.shown(values[form.kind], [*accepted, *self._parts(values)]),
        }
        if isinstance(ratio, (int, float)):
            update[form.retention_ratio] = ratio
            update |= self.count_tokens({**values, **update})
        if accepted != sent:
            update[form.status] = alert(
                f"{len(accepted)} methods fit; clear one to choose another."
            )
        return update

    def count_tokens(self, values: Values) -> Update:
        """The retention ratio as a count of visual tokens, and the methods that it allows."""
        form = self.form
        note = retention_note(
            values[form.retention_ratio], values[form.model], values[form.num_frames]
        )
        return {form.retention_note: note, form.menu: self._menu(values)}

    def _parts(self, values: Values) -> list[str]:
        """The Lab's lanes; none where its selectors were not sent."""
        lab = self.form.lab
        return composed_names(lab.chosen(values)) if values.keys() >= set(lab.selectors) else []

    def _menu(self, values: Values) -> str:
        form = self.form
        return menu(
            values[form.model],
            values[form.methods],
            values[form.retention_ratio],
            values.get(form.num_frames),
            most=self.settings.max_lanes - 1,
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
            form.num_frames: request.num_frames,
        }
        update = self._change(card, kind, sent)
        path = Path(str(request.upload))
        update[form.uploads[kind]] = str(path) if path.is_file() else None
        known = [one for one in examples_of(kind) if one["file"] == path.name]
        update[form.chips] = chips_of(known[0] if known else None)
        fields = {"question", "retention_ratio", "positions", *SAMPLING}
        update |= {form.by_field[name]: getattr(request, name) for name in fields}
        update[form.gaze] = gaze.shown(kind, request.methods or (), value=request.gaze)
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
            form.question: gr.Textbox(placeholder=placeholder(kind)),
            form.answers: note_on_answers(card.name),
            form.menu: self._menu({**values, form.model: card.name, form.methods: chosen}),
            form.methods: gr.CheckboxGroup([(title, n) for n, title in offered], value=chosen),
            form.methods_note: methods_note(chosen),
            form.gaze: gaze.shown(kind, [*chosen, *self._parts(values)]),
            form.retention_note: retention_note(
                values[form.retention_ratio], card.name, values.get(form.num_frames)
            ),
            form.num_frames: gr.Slider(value=card.frames, visible=kind == "video"),
        }
