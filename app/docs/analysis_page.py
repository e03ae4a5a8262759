"""docs/analysis.md: the measures of an analysis, and the memory and time that they need."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from app.docs.measured import RESULTS, machine_text, measured
from app.render.measures import MEASURES
from app.render.table import markdown_table
from models.analysis.memory import count_kept
from models.shapes import SHAPES

TEMPLATE = Path(__file__).with_suffix(".md")
TEXT, ANSWER = 64, 16  # tokens
UPLOADS = (  # model, what is asked about, visual tokens
    ("llava-1.5-7b", "a picture", 576),
    ("qwen2.5-vl-7b", "a picture of 1,008 × 1,008 pixels", 1296),
    ("qwen2.5-vl-7b", "a clip of 16 frames of 420 × 420 pixels", 1800),
)
TIMED = "python -m app speed --analysis --repeats 25 --model {}"
TIMES = {"embedded-image": "analysis-image.json", "embedded-video": "analysis-video.json"}
MIB = 2**20


def markdown() -> str:
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        measures=_measures(),
        memory=_memory(),
        text=TEXT,
        answer=ANSWER,
        times="\n\n".join(
            measured(RESULTS / name, TIMED.format(model), time_text)
            for model, name in TIMES.items()
        ),
    )


def _measures() -> str:
    rows = [
        [f"{one.title}{', LLM and encoder' if one.encoder else ''}", one.text, f"`{one.formula}`"]
        for one in MEASURES.values()
    ]
    return markdown_table(["measure", "what it says", "formula"], rows)


def time_text(report: dict[str, Any]) -> str:
    """Medians of both lanes and of the analysis, and the ratio within a round."""
    off, on, analysis = (1e3 * report["seconds"][name] for name in ("off", "on", "analysis"))
    low, high = report["off_over"]["on"]["interval"]
    return (
        f"`{report['model']}`, medians of {report['repeats']} rounds: the lane {off:,.0f} ms, "
        f"before an analysis {on:,.0f} ms, the analysis {analysis:,.0f} ms. The lane takes "
        f"{report['off_over']['on']['median']:.3f} ({low:.3f} to {high:.3f}, 95 %) of its time "
        f"before an analysis. {machine_text(report['conditions'] | {'load': report['load']})}"
    )


def _memory() -> str:
    rows = []
    for name, upload, tokens in UPLOADS:
        kept = count_kept(SHAPES[name](), tokens, TEXT, ANSWER, "bfloat16")
        parts = (kept.attention, kept.states, kept.one_layer, kept.total, kept.runs)
        rows.append([name, upload, f"{tokens:,}", *(f"{part / MIB:,.0f} MiB" for part in parts)])
    head = ["model", "upload", "visual tokens", "attention and gradients", "states", "one layer"]
    return markdown_table([*head, "together", "blocked cells"], rows)
