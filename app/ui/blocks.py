"""Gradio's page, with a word for whoever sends it what no page would send."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from app.ui.visitors import Visitors

CANNOT = (
    "This cannot be answered. Send the arguments that /gradio_api/info describes, "
    "and files that were uploaded here."
)
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """`gr.Blocks` that knows its visitors, and whose every error has a sentence.

    The stock one says null, or everything.
    """

    def __init__(self, visitors: Visitors, **options: Any) -> None:
        super().__init__(**options)
        self.visitors = visitors

    async def process_api(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error as error:
            error.print_exception = False  # Gradio's own too: they quote what came
            raise
        except Exception as error:
            if self.show_error:
                raise
            log.warning("a request could not be answered", exc_info=error)
            raise refusal(CANNOT) from error


def refusal(sentence: str) -> gr.Error:
    """What a person or a program is told; strangers' mistakes do not fill the log."""
    return gr.Error(sentence, print_exception=False)
