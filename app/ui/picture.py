"""The picture input: a file from the visitor, never a web address, checked by `app.request`."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.components.image import ImageData
from gradio_client.utils import is_http_url_like

NO_ADDRESS = "A web address came where a picture file is wanted. Upload the file instead."


class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came and refuses to fetch addresses."""

    is_template = True  # keeps the stock front end

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        # Before `preprocess`, Gradio would download an address whole, past every size limit.
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error(NO_ADDRESS)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: ImageData | None) -> str | None:
        # The stock one opens the file with PIL first, and words its errors for developers.
        if payload is not None and payload.url and payload.url.startswith("data:"):
            return super().preprocess(payload)
        return None if payload is None else payload.path
