"""The figures of a comparison as an HTML table, a lane a row, definitions on the headings."""

from __future__ import annotations

from html import escape

from app.render.summary import NOTHING, lane_rows
from models.engine.record import Comparison

COLUMNS = {  # key of a row's texts: heading, definition
    "asked_ratio": ("Asked", "Retention ratio asked for"),
    "measured_ratio": (
        "Run",
        "Visual tokens, averaged over LLM layers, over all visual tokens: measured",
    ),
    "averages": (
        "Average tokens",
        "Visual tokens, averaged over LLM layers: processed, as each layer's input · cached, after "
        "prefill · handed on to the next layer, which is the label of many papers",
    ),
    "tokens": ("Visual tokens", "All, then what is left after each stage"),
    "ttft_ms": (
        "First token",
        "Read, encode, compress, prefill and the choice of the first token, on the lane's clock",
    ),
    "speedup_ttft": ("Against vanilla", "Vanilla's time to the first token over this lane's"),
    "total_ms": ("Total", "Until the last token, on the lane's own clock"),
    "kv_mb": ("KV cache", "Keys and values of all LLM layers at the end of the answer"),
    "tflops": ("Compute", "Counted by formula: encoder, projector and prefill"),
    "peak_mb": ("Peak memory", "Of the device, while this lane ran alone"),
}


def figures_table(comparison: Comparison) -> str:
    """One row a lane; a column that says nothing in any lane is left out."""
    rows = lane_rows(comparison)
    keys = [key for key in COLUMNS if any(row["text"].get(key) for row in rows)]
    heads = "".join(
        f'<th scope="col"><abbr title="{escape(definition)}">{heading}</abbr></th>'
        for heading, definition in (COLUMNS[key] for key in keys)
    )
    body = ""
    for row in rows:
        cells = "".join(f"<td>{escape(row['text'].get(key) or NOTHING)}</td>" for key in keys)
        body += f'<tr><th scope="row">{escape(row["label"])}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table>'
        f'<thead><tr><th scope="col">Lane</th>{heads}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )
