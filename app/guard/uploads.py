"""The upload inputs: a file from the visitor, never a web address, checked by `app.request`."""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData
from gradio.processing_utils import save_base64_to_cache
from gradio_client.utils import is_http_url_like
from pydantic import ConfigDict

from app.guard.blocks import refusal
from app.settings import Settings
from models.uploads.container import CONTAINERS
from models.uploads.read import FORMATS

NO_ADDRESS = "A web address came where a file is wanted. Upload the file instead."
NO_FILE = "What came is not an uploaded file. Upload the file, then send what the upload returns."
NO_DATA = "The file came as data that cannot be decoded. Upload the file instead."
DESCRIPTION = "A picture or clip file, no web address."


def limits_note(kind: str, settings: Settings) -> str:
    """What may be uploaded, before somebody waits for an upload that is refused."""
    formats, most = ", ".join(FORMATS), f"{settings.max_megapixels} megapixels"
    if kind == "video":
        formats = ", ".join(CONTAINERS)
        most = f"{settings.max_clip_seconds} s and {settings.max_clip_frames:,} frames"
    return f"<p>{formats}; at most {settings.max_upload_mb} MB, {most}</p>"


class Described:
    """Refuses in our words what is not a file's description."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Any:
        if not isinstance(obj, (dict, FileData, ImageData)):
            raise refusal(NO_ADDRESS if is_http_url_like(str(obj)) else NO_FILE)
        return super().model_validate(obj, **options)  # type: ignore[misc]


class PictureData(Described, ImageData):
    model_config = ConfigDict(json_schema_extra={"description": DESCRIPTION})


class ClipData(Described, FileData):
    model_config = ConfigDict(json_schema_extra={"description": DESCRIPTION})


def no_address(file: str | Path | None) -> None:
    """Before `preprocess`, Gradio would download an address whole, past every size limit."""
    if file is not None and is_http_url_like(str(file)):
        raise refusal(NO_ADDRESS)


def uploaded(path: str, folder: str) -> str:
    """The path, where it lies in the folder of uploads.

    Gradio checks that of what calls itself a file, by its `meta`, and takes the rest at its word:
    a program could have any file of this machine read.
    """
    try:
        inside = Path(path).resolve().is_relative_to(Path(folder).resolve())
    except ValueError:  # no path: a zero byte is in it
        inside = False
    if not inside:
        raise refusal(NO_FILE)
    return path


class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came: the stock one opens it with PIL first."""

    is_template = True  # keeps the stock front end
    data_model = PictureData

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        no_address(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            try:
                return save_base64_to_cache(payload.url, self.GRADIO_CACHE)
            except (binascii.Error, ValueError, LookupError) as error:
                raise refusal(NO_DATA) from error
        return uploaded(payload.path or "", self.GRADIO_CACHE)


class ClipInput(gr.Video):
    """`gr.Video` that hands over the file as it came, and shows one without ffmpeg's help."""

    is_template = True
    data_model = ClipData

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        no_address(url_or_file_path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: FileData | None) -> str | None:
        return uploaded(payload.path, self.GRADIO_CACHE) if payload is not None else None

    def postprocess(self, value: str | Path | None) -> ClipData | None:
        return None if value is None else ClipData(path=str(value), orig_name=Path(value).name)
