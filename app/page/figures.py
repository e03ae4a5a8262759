"""The figures of a comparison as an HTML table."""

from __future__ import annotations

from html import escape

from app.render.summary import lane_rows
from app.render.text import NOTHING
from models.engine.record import Comparison

COLUMNS = {  # key of a row's texts: heading, definition
    "asked_ratio": ("Ratio asked", "Share of the visual tokens that was asked for"),
    "measured_ratio": (
        "Ratio run",
        "Measured retention ratio: visual tokens, averaged over LLM layers, over all visual tokens",
    ),
    "averages": (
        "Average tokens",
        "Visual tokens, averaged over LLM layers: processed (input of each layer), cached (after "
        "prefill), handed on (output of each layer, by which many papers label a run); one number "
        "where the three agree",
    ),
    "tokens": ("Tokens by stage", "All visual tokens, then those left after each stage"),
    "ttft_ms": (
        "First token",
        "Time to first token: read, encode, compress, prefill and the choice of the first token; "
        "of repeated runs the median, and between which times half of them lie",
    ),
    "compress_ms": (
        "Compression",
        "Time of the compression before the LLM, a part of the time to first token; pruning inside "
        "the LLM is a part of prefill",
    ),
    "total_ms": ("Whole answer", "Time to the last token, on the lane's own clock"),
    "speedup_ttft": (
        "Against vanilla",
        "Vanilla's time to first token over this lane's; “one run”: its spread is unknown; “too "
        "noisy here”: the machine was busy, or repeated runs differ by more than 20 %",
    ),
    "kv_mb": ("KV cache", "Keys and values of all LLM layers at the end of the answer"),
    "tflops": ("Compute", "Encoder, projector and prefill, calculated by formula"),
    "peak_mb": ("Peak memory", "Peak memory of the device while this lane ran alone"),
}


def figures_table(comparison: Comparison) -> str:
    """One row per lane, without the columns that are empty in every lane."""
    rows = lane_rows(comparison)
    keys = [key for key in COLUMNS if any(row["text"].get(key) for row in rows)]
    heads = "".join(
        f'<th scope="col"><abbr title="{escape(definition)}">{heading}</abbr></th>'
        for heading, definition in map(COLUMNS.__getitem__, keys)
    )
    body = ""
    for row in rows:
        cells = "".join(
            f'<td class="{key}">{escape(row["text"].get(key) or NOTHING)}</td>' for key in keys
        )
        body += f'<tr><th scope="row">{escape(row["label"])}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table>'
        f'<thead><tr><th scope="col">Lane</th>{heads}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )
