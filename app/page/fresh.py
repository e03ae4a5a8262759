"""Further inputs below the examples: photographs, and a button that draws a new scene or clip."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.drawn_uploads import draw_new
from app.example_uploads import photographs
from app.guard.gradio_internals import upload_folder
from app.settings import EXAMPLES

NEW = {"image": "New scene", "video": "New clip"}
LINE = "Photographs"
NOTE = "Look at the tokens: this model's answers to photographs are not to be trusted."


@dataclass(frozen=True)
class Fresh:
    """The components for one kind of upload."""

    new: gr.Button
    photographs: gr.Gallery | None  # for pictures only


def declare(kind: str) -> Fresh:
    """Lay them out below the gallery of examples."""
    new = gr.Button(NEW[kind], size="sm", elem_id=f"new-{kind}", elem_classes="quiet")
    if kind != "image":
        return Fresh(new, None)
    with gr.Accordion(LINE, open=False, elem_id="photographs"):
        gr.HTML(f"<p>{NOTE}</p>", elem_classes="most", apply_default_css=False)
        gallery = gr.Gallery(
            value=[(str(EXAMPLES / one["file"]), one["title"]) for one in photographs()],
            label="Photographs",
            show_label=False,
            format="jpeg",
            columns=4,
            height="auto",
            allow_preview=False,
            interactive=False,
            object_fit="cover",
            buttons=[],
            elem_classes="examples",
        )
    return Fresh(new, gallery)


def draw(kind: str) -> tuple[str, dict]:
    """A new scene or clip in the folder of uploads, which deletes it in an hour, and its entry."""
    upload_folder().mkdir(parents=True, exist_ok=True)
    path, entry = draw_new(kind, Path(tempfile.mkdtemp(dir=upload_folder())))
    return str(path), entry
