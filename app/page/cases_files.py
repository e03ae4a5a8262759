"""The export of the Cases page: what the filter shows, as a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.cases.exports import export
from app.cases.filters import Table
from app.cases.library import Library
from app.guard.blocks import refusing
from app.page.cases_remarks import Asked, owner_of
from app.page.download import download, wire_download
from app.page.keeping import OWN
from pruning.errors import ExplainedError

FORMS = (  # (title, ending)
    ("JSON lines", ".jsonl"),
    ("CSV", ".csv"),
    ("Parquet", ".parquet"),
    ("LLM Comparator (JSON)", ".json"),
    ("One HTML file with pictures", ".html"),
    ("Recordings (zip)", ""),
)
DRAWN = ("", ".html")  # forms with pictures
MOST_DRAWN = 300  # cases of such a file: one takes about 0.2 s
SAVE = "Export these cases"


def wire_export(library: Library) -> None:
    """Declare the menu and connect it."""
    with gr.Row(elem_id="export"):
        options = {"label": "Form of the file", "container": False, "min_width": 120}
        form = gr.Dropdown(list(FORMS), value=".jsonl", **options)
        save = gr.Button(SAVE, size="sm", elem_classes="quiet", min_width=120)
        file = gr.DownloadButton(visible="hidden", elem_id="cases-file")

    def save_cases(
        ending: str, query: str, own: str, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        owner = owner_of(request, own)
        with refusing():
            asked = Asked.parse(query, library, owner)
            table = library.table(asked.run, owner)
            chosen = table.choose(asked.filter)
        pair = table.lanes[0], asked.filter.lane or (table.lanes * 2)[1]
        yield from download(
            save,
            file,
            lambda to: write(table, chosen, to, ending, pair),
            preparing="Preparing the file",
        )

    asked = gr.Textbox(visible=False)  # the query of the address, and the secret of this browser
    sent = f"(form) => [form, location.search.slice(1), {OWN}]"
    wire_download(save, file, save_cases, [form, asked, asked], sent)


def write(
    table: Table, chosen: list[str], folder: Path, ending: str, pair: tuple[str, str]
) -> Path:
    """The file of the chosen cases. Raises `ExplainedError` where there can be none."""
    if ending in DRAWN and len(chosen) > MOST_DRAWN:
        raise ExplainedError(
            f"{len(chosen):,} cases came; a file with pictures holds at most {MOST_DRAWN} here. "
            "Narrow the filter, or use the command `cases export`."
        )
    name = f"{table.run.name.replace('.', '-')}-{len(chosen)}-cases"
    try:
        path = export(table, chosen, folder / f"{name}{ending}", pair)
    except ValueError as error:
        raise ExplainedError(str(error)) from error
    if ending:
        return path
    packed = shutil.make_archive(str(path), "zip", folder, name)
    shutil.rmtree(path)
    return Path(packed)
