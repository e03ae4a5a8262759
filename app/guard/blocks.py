"""`gr.Blocks` that answers every error with one sentence and cleans up after each call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from app.guard import gradio_internals as internals
from app.guard.sessions import clean_after_call
from app.guard.visitors import Visitors

BAD_REQUEST = (
    "This request cannot be answered. Send the arguments that /gradio_api/info describes, "
    "and files that were uploaded here."
)
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """Page whose calls store nothing but a comparison, and whose errors do not quote the input.

    For an unforeseen error the stock class returns null or, with `show_error`, the whole message.
    """

    def __init__(self, visitors: Visitors, **options: Any) -> None:
        super().__init__(**options)
        self.visitors = visitors

    async def process_api(
        self,
        block_fn: internals.BlockFunction | int,
        inputs: list[Any],
        state: internals.SessionState | None = None,
        session_hash: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        try:
            return await super().process_api(
                block_fn, inputs, state=state, session_hash=session_hash, **options
            )
        except gr.Error as error:
            error.print_exception = False  # Gradio's own errors quote the input
            raise
        except Exception as error:
            if self.show_error:
                raise
            log.warning("request failed", exc_info=error)
            raise refusal(BAD_REQUEST) from error
        finally:
            if state:
                function = internals.function_of(self, block_fn)
                clean_after_call(self, function, state, session_hash)

    def handle_streaming_diffs(
        self,
        block_fn: internals.BlockFunction,
        data: list,
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list:
        """Sends every value of a stream whole, after the first as a diff that replaces all.

        The browser applies a diff to the value of the previous update. A component that is still
        loading does not have that value: charts, pictures and buttons were lost.
        """
        begins = internals.begins_stream(self, session_hash, run)
        sent = super().handle_streaming_diffs(
            block_fn, data, session_hash, run, final, simple_format=True
        )
        if begins or final or simple_format:
            return sent
        return [[["replace", [], value]] for value in sent]


def refusal(sentence: str) -> gr.Error:
    """Error for a visitor; it is not printed, so bad requests do not fill the log."""
    return gr.Error(sentence, print_exception=False)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a `ValueError`, whose sentence was written for a visitor, into a refusal."""
    try:
        yield
    except ValueError as error:
        raise refusal(str(error)) from error
