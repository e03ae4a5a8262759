"""Gradio's page, with a word for whoever sends it what no page would send."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState

from app.guard.sessions import settle
from app.guard.visitors import Visitors

CANNOT = (
    "This cannot be answered. Send the arguments that /gradio_api/info describes, "
    "and files that were uploaded here."
)
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """`gr.Blocks` that forgets what it sent, and whose every error has a sentence.

    The stock one keeps all of it; of an error it says null, or everything.
    """

    def __init__(self, visitors: Visitors, **options: Any) -> None:
        super().__init__(**options)
        self.visitors = visitors

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        inputs: list[Any],
        state: SessionState | None = None,
        session_hash: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        try:
            return await super().process_api(
                block_fn, inputs, state=state, session_hash=session_hash, **options
            )
        except gr.Error as error:
            error.print_exception = False  # Gradio's own too: they quote what came
            raise
        except Exception as error:
            if self.show_error:
                raise
            log.warning("a request could not be answered", exc_info=error)
            raise refusal(CANNOT) from error
        finally:
            if state:
                called = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
                settle(self, called, state, session_hash)


def refusal(sentence: str) -> gr.Error:
    """What a person or a program is told; strangers' mistakes do not fill the log."""
    return gr.Error(sentence, print_exception=False)
