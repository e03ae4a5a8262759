"""docs/models.md: the cards of the models, and which method runs on which family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from app.jobs import NOUNS
from app.render.method_text import Method
from app.render.table import markdown_table
from app.render.tested import NOT_MEASURED
from models.catalog import CATALOG, RANDOM, ModelCard, find
from models.grounding import FORMATS
from models.loading import config_of
from models.memory import GIB, LANES, estimate
from models.unlisted import ARCHITECTURES

TEMPLATE = Path(__file__).with_name("models_page.md")
HUB = "https://huggingface.co"
HEAD = ("name", "family", "checkpoint", "revision", "parameters", "takes", "visual tokens")
HEAD += ("LLM layers", "boxes", "guide", "GiB in bf16", "licence", "ran")
LAID_OUT = ("llava", "llava-onevision", "llava-video")  # families with checkpoints in the tests
TRUE_SHAPE = ("llava-onevision-0.5b",)  # written by tests/models/true_shape.py, run by hand
SEVEN = "llava-1.5-7b"
SHORT = {  # text in a refusal -> text in its cell
    "takes a clip,": "clips only",
    "takes a picture,": "pictures only",
    "regular grid": "no grid",
}

Cell = Mapping[str, Any]  # of the report of tests/matrix.py


def markdown(matrix: Mapping[str, Any], timing: str, methods: Sequence[Method]) -> str:
    """The page. `matrix` is the report of tests/matrix.py, `timing` the tables of costs."""
    names = {method.name for method in methods}
    cells = [cell for cell in matrix["cells"] if cell["method"] in names]
    measured = [cell["measured_ratio"] for cell in cells if not cell["refused"]]
    ratios = [ratio for ratio in measured if ratio < 1]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        cards=markdown_table(HEAD, map(_card, CATALOG)),
        families=", ".join(f"`{name}`" for name in ARCHITECTURES),
        lanes=LANES,
        boxes="\n".join(f"- `{name}`: {FORMATS[name].written}" for name in _groundings()),
        ratio=_share(matrix["retention_ratio"]),
        lowest=_share(min(ratios)),
        highest=_share(max(ratios)),
        matrix=_matrix(cells, methods),
        reasons=_reasons(cells),
        timing=timing,
        random=RANDOM,
        bf16=_weights(int4=False),
        int4=_weights(int4=True),
    )


def _weights(int4: bool) -> str:
    """GiB of the weights of a 7B model."""
    memory = estimate(config_of(find(SEVEN)), 0, "bfloat16", int4=int4)
    return f"{memory.weights / GIB:.1f}"


def _card(card: ModelCard) -> tuple[str, ...]:
    config = config_of(card)
    memory = estimate(config, card.tokens, "bfloat16")
    frames = "" if "image" in card.media else f" ({card.frames} frames)"
    return (
        f"`{card.name}`",
        card.family,
        _checkpoint(card),
        card.revision or "in the checkout",
        f"{memory.weights // 2:,}",
        " and ".join(NOUNS[kind] + "s" for kind in sorted(card.media)),
        f"{card.tokens:,}{frames}",
        str(config.text_config.num_hidden_layers),
        f"`{card.grounding}`",
        find(card.guide).name if card.guide else "itself",
        f"{memory.total / GIB:.3g}",
        card.licence,
        _ran(card),
    )


def _ran(card: ModelCard) -> str:
    """How far a checkpoint has been run by this project."""
    if card.ships:
        return "here"
    if card.name in TRUE_SHAPE:
        return "true shape, laid out as on the hub, random weights"
    if card.family in LAID_OUT:
        return "tiny, laid out as on the hub, random weights"
    return "tiny only"


def _checkpoint(card: ModelCard) -> str:
    return f"[{card.source}]({f'{HUB}/{card.source}' if card.revision else f'../{card.source}'})"


def _groundings() -> list[str]:
    return list(dict.fromkeys(card.grounding for card in CATALOG))


def _matrix(cells: Sequence[Cell], methods: Sequence[Method]) -> str:
    """A row for each method, a column for each tiny model."""
    settings = {cell["setting"]: f"{cell['family']}: {NOUNS[cell['kind']]}s" for cell in cells}
    lines: dict[str, dict[str, str]] = {method.name: {} for method in methods}
    numbers = {reason: number for number, reason in enumerate(_refusals(cells), 1)}
    for cell in cells:
        lines[cell["method"]][cell["setting"]] = _cell(cell, numbers)
    return markdown_table(
        ("method", *settings.values()),
        [
            (f"[`{name}`](methods.md#{name})", *(line.get(one, NOT_MEASURED) for one in settings))
            for name, line in lines.items()
        ],
    )


def _cell(cell: Cell, numbers: Mapping[str, int]) -> str:
    if cell["refused"]:
        return f"{_short(cell['refused'])} <sup>{numbers[cell['refused']]}</sup>"
    return f"runs as `{cell['preset']}`" if cell["preset"] == cell["family"] else "runs"


def _short(reason: str) -> str:
    return next((short for text, short in SHORT.items() if text in reason), "refuses")


def _refusals(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell["refused"] for cell in cells if cell["refused"]))


def _reasons(cells: Sequence[Cell]) -> str:
    """The error messages of the refusals, numbered as in the matrix."""
    return "\n".join(f"{number}. {reason}" for number, reason in enumerate(_refusals(cells), 1))


def _share(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"
