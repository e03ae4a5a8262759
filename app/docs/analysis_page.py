"""docs/analysis.md: the measures of an analysis, and the memory that they need."""

from __future__ import annotations

from pathlib import Path
from string import Template

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
MIB = 2**20


def markdown() -> str:
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        measures=_measures(), memory=_memory(), text=TEXT, answer=ANSWER
    )


def _measures() -> str:
    rows = [
        [f"{one.title}{', LLM and encoder' if one.encoder else ''}", one.text, f"`{one.formula}`"]
        for one in MEASURES.values()
    ]
    return markdown_table(["measure", "what it says", "formula"], rows)


def _memory() -> str:
    rows = []
    for name, upload, tokens in UPLOADS:
        kept = count_kept(SHAPES[name](), tokens, TEXT, ANSWER, "bfloat16")
        parts = (kept.attention, kept.states, kept.one_layer, kept.total, kept.runs)
        rows.append([name, upload, f"{tokens:,}", *(f"{part / MIB:,.0f} MiB" for part in parts)])
    head = ["model", "upload", "visual tokens", "attention and gradients", "states", "one layer"]
    return markdown_table([*head, "together", "blocked cells"], rows)
