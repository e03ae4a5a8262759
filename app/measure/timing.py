"""Times of a lane's phases on one model and machine, methods by ratios.

Lanes take turns, so a machine that slows down slows all of them. Answers do not matter: a model of
random weights takes the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from app.jobs import lanes_at
from app.measure.lane_times import COLUMNS, WARM_UP, Row, Turns
from app.measure.report import NONE, check_counts, describe_conditions, lane_table
from app.measure.uploads import QUESTION, random_upload
from app.settings import Settings
from app.worker.conditions import conditions
from models.catalog import find
from models.engine.base import Adapter
from models.engine.checks import check_kind
from models.engine.resizing import resized
from models.loading import load
from models.uploads.media import Media
from pruning.base import CompressionMethod, Seam
from pruning.errors import UnsupportedError

METHODS = {
    "image": "vanilla,fastv,sparsevlm,visionzip,nuwa",
    "video": "vanilla,flashvid,fastvid,visionzip",
}
RATIOS = {"image": "0.333,0.222,0.111", "video": "0.25,0.20,0.15,0.10"}
LIMITS = {"frames": 512, "height": 4096, "width": 4096, "repeats": 1000}


def timing(
    model: str,
    methods: Sequence[str],
    ratios: Sequence[float],
    frames: int,
    size: tuple[int, int],
    repeats: int,
    new_tokens: int,
    settings: Settings,
    counts_only: bool = False,
) -> dict[str, Any]:
    """Times every method at every ratio on one random upload.

    Args:
        frames: Of a clip; 0 for a picture.
        size: (height, width) in pixels.
        counts_only: Nothing runs; FLOPs and bytes follow from the model's shape.
    """
    if frames < 0:
        raise ValueError(f"Frames: {frames} came, wanted 0 for a picture, or more.")
    kind = "video" if frames else "image"
    check_kind(find(model).title, "model", find(model).media, kind)
    check_counts(LIMITS, frames=frames or 1, height=size[0], width=size[1], repeats=repeats)
    if not 2 <= new_tokens <= settings.max_new_tokens:
        raise ValueError(f"{new_tokens} new tokens came, wanted 2 to {settings.max_new_tokens}.")
    lanes = list(lanes_at(methods, ratios, find(model).family))
    media = random_upload(frames, size)
    if counts_only:
        adapter, dtype = load(model, "meta", settings.dtype or "bfloat16"), settings.dtype
        counted = {"device": "none: counted, not run", "dtype": dtype or "bfloat16"}
        rows = [_count(*lane, adapter, media) for lane in lanes]
        return _report(model, adapter, media, 0, 0, counted, rows)
    adapter = load(model, settings.device or None, settings.dtype or None)
    turns = Turns(adapter, media, lanes, new_tokens)
    for _ in range(WARM_UP + repeats):
        turns.run_round()
    where = conditions(adapter)
    return _report(model, adapter, media, new_tokens, repeats, where, turns.rows())


def _report(
    model: str,
    adapter: Adapter,
    media: Media,
    new_tokens: int,
    repeats: int,
    conditions: Mapping[str, str],
    rows: Sequence[Row],
) -> dict[str, Any]:
    frames, height, width, _ = media.frames.shape
    prompt = adapter.prepare(media, QUESTION)
    return {
        "model": model,
        "upload": {"frames": frames, "height": height, "width": width},
        "visual_tokens": prompt.layout.num_placed,
        "text_tokens": prompt.num_text,
        "new_tokens": new_tokens,
        "repeats": repeats,
        "conditions": dict(conditions),
        "rows": [asdict(row) for row in rows],
    }


def _count(name: str, method: CompressionMethod, adapter: Adapter, media: Media) -> Row:
    """One method at one ratio, without a run."""
    prompt, decoder = adapter.prepare(media, QUESTION), adapter.decoder
    ratio, n = getattr(method, "retention_ratio", None), prompt.layout.num_placed
    try:
        check_kind(method.label, "method", method.media, media.kind)
        check_countable(method)
        budget = method.budget_for(prompt.layout, decoder.num_layers)
        prompt = resized(adapter, media, QUESTION, prompt, method, budget)
    except UnsupportedError as error:
        return Row(name, ratio, refused=str(error))
    tokens, cached = budget.per_layer(decoder.num_layers), budget.in_cache(decoder.num_layers)
    projected = n if method.seam is Seam.PROJECTED else budget.before
    rows = tuple(count + prompt.num_text for count in tokens)
    held = sum(count + prompt.num_text for count in cached)  # rows over all layers
    return Row(
        method=name,
        retention_ratio=ratio,
        measured_ratio=sum(tokens) / len(tokens) / n,
        visual_tokens=budget.before,
        tflops=adapter.flops(prompt, method.needs, projected, rows) / 1e12,
        cache_mb=held * decoder.row_bytes / 1e6,
    )


def check_countable(method: CompressionMethod) -> None:
    """Refuses a method whose cost depends on the answer of its guide."""
    if "guidance" in method.needs.llm:
        title = method.title
        raise UnsupportedError(f"{title} asks a guide, whose answer decides its cost: run it.")


def table(report: dict[str, Any]) -> str:
    """The report as fixed-width text."""

    def figure(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda row: _number(row[name])

    lines = lane_table(report["rows"], {head: figure(name) for head, name in COLUMNS.items()})
    medians = f"medians of {report['repeats']}; " if report["repeats"] else ""
    return f"{lines}\n{medians}{describe_conditions(report)}"


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.3g}"
