"""A file that is made when a visitor asks for it, and what they are told where it cannot be."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app.guard.blocks import refusal
from app.guard.gradio_internals import upload_folder

NOT_WRITTEN = "The file could not be written, as when the server's disk is full. Try again later."
log = logging.getLogger(__name__)


def download(
    button: gr.Button,
    file: gr.DownloadButton,
    write: Callable[[Path], str | Path],
    *,
    preparing: str,
) -> Iterator[dict[Any, Any]]:
    """Updates while `write` makes a file in the folder it is given: `button` waits, `file` has it.

    The folder lies where Gradio serves files from. It would copy a file from anywhere else once
    the handler has ended, where a full disk could be told to nobody.
    """
    label = button.value
    yield {button: gr.Button(preparing, interactive=False)}
    folder = None
    try:
        upload_folder().mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=upload_folder())
        path = write(Path(folder))
    except Exception as error:  # whatever it was, the button comes back
        log.error("file not written", exc_info=error)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # half a file takes room too
        yield {button: gr.Button(label, interactive=True)}
        raise refusal(NOT_WRITTEN) from error
    yield {button: gr.Button(label, interactive=True), file: str(path)}
