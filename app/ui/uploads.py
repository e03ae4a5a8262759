"""The picture input: a file from the visitor, never a web address, checked by `app.request`."""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.processing_utils import save_base64_to_cache
from gradio_client.utils import is_http_url_like
from pydantic import ConfigDict

NO_ADDRESS = "A web address came where a picture file is wanted. Upload the file instead."
NO_FILE = "The picture is not an uploaded file. Upload the file, then send what the upload returns."
NO_DATA = "The picture came as data that cannot be decoded. Upload the file instead."


class PictureData(ImageData):
    """`ImageData` that refuses in our words what is not a file's description."""

    model_config = ConfigDict(json_schema_extra={"description": "A picture file, no web address."})

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> PictureData:
        if not isinstance(obj, (dict, ImageData)):
            raise gr.Error(NO_ADDRESS if is_http_url_like(str(obj)) else NO_FILE)
        return super().model_validate(obj, **options)


class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came and refuses to fetch addresses."""

    is_template = True  # keeps the stock front end
    data_model = PictureData

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        # Before `preprocess`, Gradio would download an address whole, past every size limit.
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error(NO_ADDRESS)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: ImageData | None) -> str | None:
        # The stock one opens the file with PIL first, and words its errors for developers.
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            try:
                return save_base64_to_cache(payload.url, self.GRADIO_CACHE)
            except (binascii.Error, ValueError, LookupError) as error:
                raise gr.Error(NO_DATA) from error
        return payload.path
