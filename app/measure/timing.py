"""Times of a lane's phases on one model and machine, methods by ratios.

Lanes take turns, so a machine that slows down slows all of them. Answers do not matter: a model of
random weights takes the same time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.jobs import lanes_at
from app.measure.report import NONE, check_counts, describe_conditions, lane_table
from app.settings import Settings
from app.worker.conditions import conditions
from models.catalog import find
from models.engine.base import Adapter
from models.engine.checks import check_kind
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media
from pruning.base import CompressionMethod, Seam
from pruning.errors import UnsupportedError

QUESTION = "Please describe what is shown here, and say where the largest thing is."
WARM_UP = 2  # runs of each lane that do not count
METHODS = {
    "image": "vanilla,fastv,sparsevlm,visionzip,nuwa",
    "video": "vanilla,flashvid,fastvid,visionzip",
}
RATIOS = {"image": "0.333,0.222,0.111", "video": "0.25,0.20,0.15,0.10"}
LIMITS = {"frames": 512, "height": 4096, "width": 4096, "repeats": 1000}


@dataclass(frozen=True)
class Row:
    """One method at one ratio: medians in ms and counts, or the reason of a refusal."""

    method: str
    retention_ratio: float | None
    measured_ratio: float | None = None
    visual_tokens: int | None = None  # at the first LLM layer
    encode_ms: float | None = None
    compress_ms: float | None = None
    prefill_ms: float | None = None
    ttft_ms: float | None = None  # encode, compress, prefill and the choice of the first token
    token_ms: float | None = None  # per decoded token after the first
    tflops: float | None = None  # encoder, projector, prefill
    cache_mb: float | None = None  # after prefill
    peak_mb: float | None = None  # of device memory besides the weights; None on the CPU
    refused: str = ""


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
    runs: list[list[LaneResult] | str] = [[] for _ in lanes]
    for _ in range(WARM_UP + repeats):
        for index, (_, method) in enumerate(lanes):
            runs[index] = _run_again(runs[index], adapter, media, method, new_tokens)
    rows = [_row(*lane, run) for lane, run in zip(lanes, runs, strict=True)]
    return _report(model, adapter, media, new_tokens, repeats, conditions(adapter), rows)


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
        budget = method.budget(n, decoder.num_layers)
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


def random_upload(frames: int, size: tuple[int, int]) -> Media:
    """Seeded noise: a picture, or a clip that changes a little between frames."""
    draw, kind = np.random.default_rng(0), "video" if frames else "image"
    still = draw.integers(0, 192, (*size, 3), dtype=np.uint8)
    moving = draw.integers(0, 64, (frames or 1, *size, 3), dtype=np.uint8)
    return Media(still + moving, np.arange(len(moving), dtype=np.float64), kind, "drawn", 0.0)


def _run_again(
    runs: list[LaneResult] | str,
    adapter: Adapter,
    media: Media,
    method: CompressionMethod,
    new_tokens: int,
) -> list[LaneResult] | str:
    """Adds one run of a lane; a refusal replaces the runs by its reason."""
    if isinstance(runs, str):
        return runs
    try:
        *_, result = run_lane(
            adapter, media, QUESTION, method, max_new_tokens=new_tokens, stops=False
        )
    except UnsupportedError as error:
        return str(error)
    assert isinstance(result, LaneResult)
    return [*runs, result]


def _row(name: str, method: CompressionMethod, runs: list[LaneResult] | str) -> Row:
    ratio = getattr(method, "retention_ratio", None)
    if isinstance(runs, str):
        return Row(name, ratio, refused=runs)
    counted, last = runs[WARM_UP:], runs[-1]

    def median(phase: str) -> float:
        return 1e3 * statistics.median(run.timeline.seconds(phase) for run in counted)

    later = [run.timeline.seconds("decode") - run.timeline.first_token for run in counted]
    first = [run.timeline.ttft - run.timeline.seconds("read") for run in counted]
    peaks = [run.peak_bytes for run in counted if run.peak_bytes is not None]
    return Row(
        method=name,
        retention_ratio=ratio,
        measured_ratio=last.trace.average,
        visual_tokens=int(last.trace.per_layer[0]),
        encode_ms=median("encode"),
        compress_ms=median("compress"),
        prefill_ms=median("prefill"),
        ttft_ms=1e3 * statistics.median(first),
        token_ms=1e3 * statistics.median(later) / (last.new_tokens - 1),
        tflops=last.tflops,
        cache_mb=last.kv_bytes / 1e6,
        peak_mb=max(peaks) / 1e6 if peaks else None,
    )


COLUMNS = {
    "tokens": "visual_tokens",
    "TFLOPs": "tflops",
    "encode ms": "encode_ms",
    "compress ms": "compress_ms",
    "prefill ms": "prefill_ms",
    "TTFT ms": "ttft_ms",
    "ms a token": "token_ms",
    "cache MB": "cache_mb",
    "peak MB": "peak_mb",
}


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
