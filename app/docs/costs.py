"""Tables of costs: counted for published shapes, printed by papers, measured on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.render.table import markdown_table
from models.catalog import RANDOM, find

Report = Mapping[str, Any]  # as app/measure/timing.py writes it
COUNTED = ("method", "asked", "visual tokens", "TFLOPs", "of vanilla", "cache, MB", "of vanilla")
MEASURED = (
    "method",
    "asked",
    "encode",
    "compress",
    "prefill",
    "first token",
    "each token",
    "GFLOPs",
)
PRINTED = ("model, method", "kept", "TFLOPs", "vision", "compression", "LLM", "prefill", "TTFT")


def counted(report: Report) -> str:
    """FLOPs and cache of one shape, with their shares of vanilla."""
    vanilla, *_ = report["rows"]
    lines = [
        (
            f"`{row['method']}`",
            _asked(row),
            f"{row['visual_tokens']:,}",
            f"{row['tflops']:.2f}",
            _share(row["tflops"] / vanilla["tflops"]),
            f"{row['cache_mb']:.1f}",
            _share(row["cache_mb"] / vanilla["cache_mb"]),
        )
        for row in report["rows"]
        if not row["refused"]
    ]
    title = find(report["model"].removesuffix(RANDOM)).title
    return f"**{title}**, {_upload(report)}:\n\n{markdown_table(COUNTED, lines)}"


def measured(report: Report) -> str:
    """Measured times of the phases of lanes, medians in ms."""
    conditions = ", ".join(f"{name} {value}" for name, value in report["conditions"].items())
    lines = [
        (
            f"`{row['method']}`",
            _asked(row),
            *(
                f"{row[name]:.1f}"
                for name in ("encode_ms", "compress_ms", "prefill_ms", "ttft_ms", "token_ms")
            ),
            f"{1e3 * row['tflops']:.2f}",
        )
        for row in report["rows"]
        if not row["refused"]
    ]
    title = find(report["model"]).title
    return (
        f"**{title}**, {_upload(report)}, medians in ms of {report['repeats']} runs after a "
        f"warm-up, {conditions}:\n\n{markdown_table(MEASURED, lines)}"
    )


def printed(paper: Mapping[str, Any]) -> str:
    """The figures of a paper, in its own accounting."""
    names = ("vision_ms", "compression_ms", "llm_ms", "prefill_ms", "ttft_ms")
    lines = [
        (
            f"{row['model']}, {row['method']}",
            _kept(row),
            f"{row.get('tflops', row.get('llm_tflops'))}",
            *("–" if row.get(name) is None else f"{row[name]:g} ms" for name in names),
        )
        for row in paper["rows"]
    ]
    table = markdown_table(PRINTED, lines)
    return f"{paper['source']}, measured there on {paper['machine']}:\n\n{table}"


def _kept(row: Mapping[str, Any]) -> str:
    if "average_tokens" in row:
        return f"{row['average_tokens']} tokens"
    return f"{row['retention_percent']:g} %"


def _upload(report: Report) -> str:
    """The size of an upload and the number of its tokens."""
    upload, prompt = report["upload"], f"{report['text_tokens']} of text"
    size = f"{upload['height']} × {upload['width']} pixels"
    frames = f"{upload['frames']} frames of " if upload["frames"] > 1 else "a picture of "
    return f"{frames}{size}: {report['visual_tokens']:,} visual tokens and {prompt}"


def _asked(row: Mapping[str, Any]) -> str:
    return "" if row["retention_ratio"] is None else _share(row["retention_ratio"])


def _share(ratio: float) -> str:
    return f"{100 * ratio:.1f} %"


def section(counts: Sequence[Report], times: Sequence[Report], papers: Sequence[Mapping]) -> str:
    """All tables: counts, figures of papers, times."""
    return "\n\n".join([*map(counted, counts), *map(printed, papers), *map(measured, times)])
