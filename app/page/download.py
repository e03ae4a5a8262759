"""Downloads: files that are written when a visitor asks for them."""

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
from pruning.errors import ExplainedError

# Drawn on request, for a few visitors at a time, beside the device's queue.
FILES = {"concurrency_id": "files", "concurrency_limit": 4}
NOT_WRITTEN = "The file could not be written; the server's disk may be full. Try again later."
log = logging.getLogger(__name__)


def wire_download(
    button: gr.Button,
    file: gr.DownloadButton,
    write: Callable[..., Any],
    inputs: Any,
    js: str | None = None,
) -> None:
    """A press of `button` writes the file, and then the browser fetches it.

    `js` is a function of the browser that returns the inputs.
    """
    options: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", **FILES}
    written = button.click(write, inputs, [button, file], js=js, **options)
    press = f"() => window.tokenscope.press('{file.elem_id}')"
    written.then(None, js=press, api_visibility="private")


def download(
    button: gr.Button,
    file: gr.DownloadButton,
    write: Callable[[Path], str | Path],
    *,
    preparing: str,
) -> Iterator[dict[Any, Any]]:
    """Yield updates while `write(folder)` makes a file: `button` waits, then `file` has the path.

    The folder is in Gradio's cache. Gradio would copy a file from elsewhere after the handler has
    ended, when an error of a full disk can no longer be shown.
    """
    label = button.value
    yield {button: gr.Button(preparing, interactive=False)}
    folder = None
    try:
        upload_folder().mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=upload_folder())
        path = write(Path(folder))
    except Exception as error:  # any error: the button must become active again
        explained = isinstance(error, ExplainedError)
        if not explained:
            log.error("file not written", exc_info=error)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # delete a partial file
        yield {button: gr.Button(label, interactive=True)}
        raise refusal(str(error) if explained else NOT_WRITTEN) from error
    yield {button: gr.Button(label, interactive=True), file: str(path)}
