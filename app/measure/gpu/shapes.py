"""Lanes of published 7B shapes with random weights: phases, memory, launches, beside `generate`.

All lanes take turns, so that a drifting clock slows all of them. Answers are noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from app.measure.gpu.costs import ceilings, synchronise
from app.measure.gpu.launches import count, kernels
from app.measure.gpu.report import guarded
from app.measure.lane_times import WARM_UP, Lane, Turns
from app.measure.uploads import QUESTION, random_upload
from models.engine.base import Adapter
from models.loading import load
from models.uploads.media import Media
from pruning.methods import create

NEW_TOKENS, ROUNDS = 16, 7
SIZE = (384, 384)  # pixels of the random upload
RESERVE = 50.0  # seconds to profile after the rounds
ATTENTION = ("flash", "fmha", "cudnn", "attn", "attention")  # in the names of kernels


@dataclass(frozen=True)
class Plan:
    """A model, its upload, and the lanes: methods with their retention ratios."""

    model: str
    frames: int  # 0: a picture
    lanes: Sequence[tuple[str, float]]

    def methods(self) -> list[Lane]:
        compressed = [(name, create(name, retention_ratio=ratio)) for name, ratio in self.lanes]
        return [("vanilla", create("vanilla")), *compressed]


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


def lanes(plan: Plan, device: str, seconds: float) -> dict[str, Any]:
    """All lanes of a plan and `generate` in turn; at least one round after the warm-up."""
    end, tiny = time.perf_counter() + seconds - RESERVE, device == "cpu"
    adapter, media = load(plan.model, device), random_upload(plan.frames, SIZE)
    turns = Turns(adapter, media, plan.methods(), NEW_TOKENS, caught=Exception)
    warm_up, rounds = (0, 1) if tiny else (WARM_UP, ROUNDS)
    stock = []
    while len(stock) < warm_up + rounds:
        if len(stock) > warm_up and time.perf_counter() > end:
            break
        turns.run_round()
        stock.append(guarded(partial(generate_ms, adapter, media, device)))
    report = {
        "conditions": dict(adapter.conditions),
        "rounds": len(stock) - warm_up,
        "new_tokens": NEW_TOKENS,
        "rows": [asdict(row) for row in turns.rows(warm_up)],
        "generate": medians(stock[warm_up:]),
        "decode_floor_ms": decode_floor(adapter, device),
    }
    if not tiny:  # the times are kept if the profiler fails
        report["attention_kernels"] = guarded(partial(attention_kernels, turns))
        report["launches"] = guarded(partial(count, adapter, media, turns.lanes[:3], 3))
    return report


def generate_ms(adapter: Adapter, media: Media, device: str) -> dict[str, float]:
    """Times of stock `generate`: to the first token, and of each further one."""
    prompt, times = adapter.prepare(media, QUESTION), []
    for new_tokens in (1, NEW_TOKENS):
        synchronise(device)
        start = time.perf_counter()
        with torch.inference_mode():
            adapter.generate(prompt, new_tokens, min_new_tokens=new_tokens)
        synchronise(device)
        times.append(1e3 * (time.perf_counter() - start))
    first, whole = times
    return {"ttft_ms": first, "token_ms": (whole - first) / (NEW_TOKENS - 1)}


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure, or the first failure."""
    failed = [run for run in runs if "failed" in run]
    return (
        failed[0]
        if failed
        else {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    )


def decode_floor(adapter: Adapter, device: str) -> float:
    """Milliseconds to read the LLM's weights once at the copy's speed: a token takes no less."""
    parts = (adapter.decoder.model.layers, adapter.decoder.head)
    size = sum(weight.nbytes for part in parts for weight in part.parameters())
    return size / ceilings(device, tiny=device == "cpu")["copy_gb_s"] / 1e6


def attention_kernels(turns: Turns) -> list[str]:
    """Names of the kernels that compute attention in a lane of all tokens."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        turns.run(turns.lanes[0][1])
    names = {event.name[:100] for event in kernels(recorded)}
    return sorted(name for name in names if any(word in name.lower() for word in ATTENTION))
