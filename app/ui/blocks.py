"""Gradio's page, with a word for whoever sends it what no page would send."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

CANNOT = (
    "This cannot be answered. Send the arguments that /gradio_api/info describes, "
    "and files that were uploaded here."
)
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """`gr.Blocks` whose every error has a sentence: the stock one says null, or everything."""

    async def process_api(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error:
            raise
        except Exception as error:
            if self.show_error:
                raise
            log.warning("a request could not be answered", exc_info=error)
            raise refusal(CANNOT) from error


def refusal(sentence: str) -> gr.Error:
    """What a person or a program is told; strangers' mistakes do not fill the log."""
    return gr.Error(sentence, print_exception=False)
