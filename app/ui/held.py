"""The comparison that a page shows, for as long as the server holds it."""

from __future__ import annotations

import gradio as gr

from models.record import Comparison

HOUR = 3600
GONE = "This comparison is no longer held: that ends after an hour. Compare again."


def holder() -> gr.State:
    return gr.State(time_to_live=HOUR)


def held(comparison: Comparison | None) -> Comparison:
    """The record, or a sentence to a visitor who comes back to an old page."""
    if comparison is None:
        raise gr.Error(GONE)
    return comparison
