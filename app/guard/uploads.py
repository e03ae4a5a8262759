"""Upload inputs: pass an uploaded file on unopened, and refuse web addresses and other paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData
from pydantic import ConfigDict

from app.guard.blocks import refusal
from app.guard.gradio_internals import is_web_address, save_data_url, upload_folder
from app.settings import EXAMPLES, Settings
from models.uploads.container import CONTAINERS
from models.uploads.read import FORMATS

NO_ADDRESS = "A web address came where a file is wanted. Upload the file instead."
NO_FILE = (
    "This is not an uploaded file. Upload the file, then send the path that the upload returns."
)
NO_DATA = "The file came as data that cannot be decoded. Upload the file instead."
EXAMPLE = re.compile(r"^https?://[^?#]*/examples/(?P<name>[\w-]+\.(png|jpg|mp4))$")
DESCRIPTION = "A picture or clip file, no web address."


def limits_note(kind: str, settings: Settings) -> str:
    """The accepted formats and sizes, shown before a visitor uploads."""
    formats, most = ", ".join(FORMATS), f"{settings.max_megapixels} megapixels"
    if kind == "video":
        formats = ", ".join(CONTAINERS)
        most = f"{settings.max_clip_seconds} s and {settings.max_clip_frames:,} frames"
    return f"<p>{formats}; at most {settings.max_upload_mb} MB, {most}</p>"


class CheckedData:
    """Refuses with a sentence what is not a description of a file."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Any:
        if not isinstance(obj, (dict, FileData, ImageData)):
            raise refusal(NO_ADDRESS if is_web_address(str(obj)) else NO_FILE)
        return super().model_validate(obj, **options)  # type: ignore[misc]


class PictureData(CheckedData, ImageData):
    model_config = ConfigDict(json_schema_extra={"description": DESCRIPTION})


class ClipData(CheckedData, FileData):
    model_config = ConfigDict(json_schema_extra={"description": DESCRIPTION})


def uploaded(path: str) -> str:
    """The path, if it lies in the upload folder; otherwise a program could read any file here.

    Gradio checks only values that declare themselves as a file by their `meta`.
    """
    try:
        inside = Path(path).resolve().is_relative_to(upload_folder().resolve())
    except ValueError:  # a zero byte in the path
        inside = False
    if not inside:
        raise refusal(NO_FILE)
    return path


def example_address(name: str) -> str:
    """A placeholder address of a shipped example in the API's snippets; nothing fetches it."""
    return f"https://tokenscope.example/examples/{name}"


def example_file(address: str | Path | None) -> Path | None:
    """The shipped example whose name ends an address, on any host."""
    named = EXAMPLE.search(str(address or ""))
    path = EXAMPLES / named["name"] if named else None
    return path if path is not None and path.is_file() else None


def refuse_address(file: str | Path | None) -> None:
    """Called before `preprocess`, where Gradio would download an address of any size."""
    if file is not None and is_web_address(str(file)):
        raise refusal(NO_ADDRESS)


class PictureInput(gr.Image):
    """`gr.Image` that returns the path of the upload; the stock class opens the file with PIL."""

    is_template = True  # keeps the front end of the base class
    data_model = PictureData

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        if example := example_file(url_or_file_path):
            url_or_file_path = str(example)
        refuse_address(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            try:
                return save_data_url(payload.url)
            except ValueError as error:
                raise refusal(NO_DATA) from error
        return uploaded(payload.path or "")


class RecordingInput(gr.UploadButton):
    """`gr.UploadButton` that returns the path of an upload with any content."""

    is_template = True

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        refuse_address(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: FileData | None) -> str | None:
        return uploaded(payload.path) if payload is not None else None


class ClipInput(gr.Video):
    """`gr.Video` that returns the path of the upload and shows a clip without ffmpeg."""

    is_template = True
    data_model = ClipData

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        refuse_address(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: FileData | None) -> str | None:
        return uploaded(payload.path) if payload is not None else None

    def postprocess(self, value: str | Path | None) -> ClipData | None:
        return None if value is None else ClipData(path=str(value), orig_name=Path(value).name)
