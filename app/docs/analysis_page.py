"""docs/analysis.md: the measures of an analysis, and the memory and time that they need."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from app.render.measures import MEASURES
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED
from app.settings import ROOT
from models.analysis.memory import count_kept
from models.shapes import SHAPES

TEMPLATE = Path(__file__).with_suffix(".md")
TEXT, ANSWER = 64, 16  # tokens
UPLOADS = (  # model, what is asked about, visual tokens
    ("llava-1.5-7b", "a picture", 576),
    ("qwen2.5-vl-7b", "a picture of 1,008 × 1,008 pixels", 1296),
    ("qwen2.5-vl-7b", "a clip of 16 frames of 420 × 420 pixels", 1800),
)
TIMES = [  # reports of `speed --analysis`
    ROOT / "assets" / "results" / f"analysis-{kind}.json" for kind in ("image", "video")
]
MIB = 2**20


def markdown() -> str:
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        measures=_measures(), memory=_memory(), text=TEXT, answer=ANSWER, time=_time()
    )


def _measures() -> str:
    rows = [
        [f"{one.title}{', LLM and encoder' if one.encoder else ''}", one.text, f"`{one.formula}`"]
        for one in MEASURES.values()
    ]
    return markdown_table(["measure", "what it says", "formula"], rows)


def _time() -> str:
    """A row for each model whose times are stored: medians, and ratios within a round."""
    rows = []
    for path in TIMES:
        if path.exists():
            report = json.loads(path.read_text())
            seconds = [report["seconds"][name] for name in ("off", "on", "analysis")]
            low, high = report["off_over"]["on"]["interval"]
            rows.append(
                [
                    f"`{report['model']}`",
                    *(f"{1e3 * each:,.0f} ms" for each in seconds),
                    f"{report['off_over']['on']['median']:.3f} ({low:.3f} to {high:.3f})",
                    f"{report['repeats']}",
                    f"{report['conditions']['machine']}, load {report['load']}",
                ]
            )
    head = ["model", "lane", "lane before an analysis", "analysis", "lane / lane before, 95 %"]
    return markdown_table([*head, "rounds", "machine"], rows) if rows else NOT_MEASURED


def _memory() -> str:
    rows = []
    for name, upload, tokens in UPLOADS:
        kept = count_kept(SHAPES[name](), tokens, TEXT, ANSWER, "bfloat16")
        parts = (kept.attention, kept.states, kept.one_layer, kept.total, kept.runs)
        rows.append([name, upload, f"{tokens:,}", *(f"{part / MIB:,.0f} MiB" for part in parts)])
    head = ["model", "upload", "visual tokens", "attention and gradients", "states", "one layer"]
    return markdown_table([*head, "together", "blocked cells"], rows)
