"""Lanes of published 7B shapes with random weights: phases, memory, launches, beside `generate`.

All lanes take turns, so that a clock that drifts does so for all. Answers are noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from app.measure.gpu.launches import count, kernels
from app.measure.gpu.report import synchronise
from app.measure.gpu.uploads import QUESTION, upload
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.methods import create

NEW_TOKENS, WARM_UP, ROUNDS = 16, 2, 7
SIDE = 384  # pixels of the drawn upload
ATTENTION = ("flash", "fmha", "cudnn", "attn", "attention")  # in the names of kernels


@dataclass(frozen=True)
class Plan:
    """A model, its upload, and the lanes: methods with their retention ratios."""

    model: str
    frames: int  # 0: a picture
    lanes: Sequence[tuple[str, float]]

    def methods(self) -> list[tuple[str, CompressionMethod]]:
        every = [("vanilla", create("vanilla"))]
        return every + [(name, create(name, retention_ratio=ratio)) for name, ratio in self.lanes]


BEFORE = ("nuwa", "visionzip", "prumerge", "holov", "hivtp", "pooling")
PICTURE = (*((name, 1 / 9) for name in BEFORE), ("fastv", 1 / 3), ("sparsevlm", 1 / 3))
CLIP = tuple((name, 0.1) for name in ("flashvid", "fastvid", "visionzip", "prunevid", "ttm"))
PLANS = {
    "llava-1.5-7b": Plan("llava-1.5-7b@random", 0, PICTURE),
    "llava-onevision-7b": Plan("llava-onevision-7b@random", 32, CLIP),
}
TINY = {
    "llava-1.5-7b": Plan("embedded-image", 0, PICTURE[:2]),
    "llava-onevision-7b": Plan("embedded-video", 4, (("flashvid", 0.25),)),
}


@dataclass
class Turns:
    """What the lanes and `generate` took, round by round."""

    adapter: Adapter
    media: Media
    results: dict[str, list[LaneResult]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    generate: dict[int, list[float]] = field(default_factory=dict)  # new tokens -> seconds

    def lane(self, name: str, method: CompressionMethod) -> None:
        try:
            *_, result = run_lane(
                self.adapter, self.media, QUESTION, method, max_new_tokens=NEW_TOKENS, stops=False
            )
        except Exception as error:  # any: the other lanes shall run
            self.refused[name] = f"{type(error).__name__}: {error}"[:200]
            return
        assert isinstance(result, LaneResult)
        self.results.setdefault(name, []).append(result)

    def stock(self, new_tokens: int, device: str) -> None:
        prompt = self.adapter.prepare(self.media, QUESTION)
        synchronise(device)
        start = time.perf_counter()
        with torch.inference_mode():
            self.adapter.generate(prompt, new_tokens, min_new_tokens=new_tokens)
        synchronise(device)
        self.generate.setdefault(new_tokens, []).append(time.perf_counter() - start)


def lanes(plan: Plan, device: str, tiny: bool, limit: float, copy_gb_s: float) -> dict[str, Any]:
    """All lanes of a plan in turn, for at most `limit` seconds; at least one round counts."""
    end = time.perf_counter() + limit
    adapter = load(plan.model, device, None)
    turns, methods = Turns(adapter, upload(plan.frames, SIDE)), plan.methods()
    warm_up, rounds = (0, 1) if tiny else (WARM_UP, ROUNDS)
    for turn in range(warm_up + rounds):
        if turn > warm_up and time.perf_counter() > end:
            break
        for name, method in methods:
            if name not in turns.refused:
                turns.lane(name, method)
        for new_tokens in (1, NEW_TOKENS):
            turns.stock(new_tokens, device)
    told = {
        "conditions": dict(adapter.conditions),
        "rounds": turn + 1 - warm_up,
        "rows": [row(name, turns, warm_up) for name, _ in methods],
        "generate": stock_row(turns, warm_up),
        "decode_floor_ms": decode_floor(adapter, copy_gb_s),
    }
    if device == "cuda":
        told["attention_kernels"] = attention_kernels(turns, methods[0])
        told["launches"] = count(adapter, turns.media, methods[:3], 3)["methods"]
    return told


def row(name: str, turns: Turns, warm_up: int) -> dict[str, Any]:
    """Medians in ms, and bytes, of one lane."""
    if name in turns.refused:
        return {"method": name, "refused": turns.refused[name]}
    counted = turns.results[name][warm_up:]
    phases = {
        phase: round(1e3 * statistics.median(run.timeline.seconds(phase) for run in counted), 3)
        for phase in ("encode", "compress", "prefill")
    }
    later = [run.timeline.seconds("decode") - run.timeline.first_token for run in counted]
    peak = counted[-1].peak_bytes
    return {
        "method": name,
        "visual_tokens": int(counted[-1].trace.per_layer[0]),
        **phases,
        "token_ms": round(1e3 * statistics.median(later) / (NEW_TOKENS - 1), 3),
        "cache_mb": round(counted[-1].kv_bytes / 1e6, 1),
        "peak_mb": None if peak is None else round(peak / 1e6, 1),
    }


def stock_row(turns: Turns, warm_up: int) -> dict[str, float]:
    """Stock `generate`: time to the first token, and each further one's."""
    first, all_of_them = (
        1e3 * statistics.median(turns.generate[new_tokens][warm_up:])
        for new_tokens in (1, NEW_TOKENS)
    )
    token = (all_of_them - first) / (NEW_TOKENS - 1)
    return {"first_token_ms": round(first, 3), "token_ms": round(token, 3)}


def decode_floor(adapter: Adapter, copy_gb_s: float) -> float:
    """Milliseconds that reading the LLM's weights once takes: no token comes sooner."""
    layers, head = adapter.decoder.model.layers, adapter.decoder.head
    parts = [*layers.parameters(), *head.parameters()]
    size = sum(weight.nbytes for weight in parts)
    return round(size / copy_gb_s / 1e6, 3) if copy_gb_s else 0.0


def attention_kernels(turns: Turns, lane: tuple[str, CompressionMethod]) -> list[str]:
    """Names of the kernels that compute attention in a lane."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as recorded:
        turns.lane(*lane)
    names = {event.name[:100] for event in kernels(recorded)}
    return sorted(name for name in names if any(word in name.lower() for word in ATTENTION))
