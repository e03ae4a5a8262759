"""Cost of compression alone, on random tokens of a 7B model's size, on the CPU.

Compares each method's time with the prefill that it saves, and FlashVID's stages with the length of
the clip. Times are medians after one warm-up.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor

from app.measure.layer_time import LAYERS, layer_seconds
from app.measure.report import NONE, check_counts
from app.measure.uploads import random_clip
from app.render.table import text_table
from models.devices import processor
from pruning.base import CompressionMethod
from pruning.methods import create
from pruning.methods.flashvid import FlashVID
from pruning.tokens import VisualTokens

METHODS = ("flashvid", "fastvid", "prunevid", "ttm", "visionzip", "frames", "pooling")
STAGES = ("DySeg", "ADTS", "TSTM", "DPC-kNN")
LIMITS = {"frames": 512, "tokens": 4096, "width": 16_384, "repeats": 1000}


class TimedFlashVID(FlashVID):
    """FlashVID that stores the seconds of each stage of its last run."""

    seconds: ClassVar[dict[str, float]] = {}

    def cut(self, *inputs: Any) -> Tensor:
        return self._time("DySeg", super().cut, inputs)

    def select(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        return self._time("ADTS", super().select, inputs)

    def grow(self, *inputs: Any) -> Any:
        return self._time("TSTM", super().grow, inputs)

    def thin(self, *inputs: Any) -> Any:
        return self._time("DPC-kNN", super().thin, inputs)

    def _time(self, stage: str, run: Callable, inputs: Sequence) -> Any:
        start = time.perf_counter()
        outcome = run(*inputs)
        self.seconds[stage] = time.perf_counter() - start
        return outcome


@torch.inference_mode()
def compression(
    frames: Sequence[int], clip: int, tokens: int, width: int, ratio: float, repeats: int
) -> dict:
    """Measures everything, in seconds; prefill is of visual tokens alone, without text."""
    for count in (*frames, clip):
        check_counts(LIMITS, frames=count)
    check_counts(LIMITS, tokens=tokens, width=width, repeats=repeats)
    if not 0 < ratio < 1:
        raise ValueError(f"Retention ratio is {ratio}, wanted above 0 and below 1.")
    report = {
        "conditions": {
            "machine": processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        "clip": {"frames": clip, "tokens": tokens, "width": width, "dtype": "float32"},
        "retention_ratio": ratio,
        "repeats": repeats,
        "layers": LAYERS,
        **_methods(random_clip(clip, tokens, width), ratio, repeats),
        "flashvid": [
            _stages(random_clip(count, tokens, width), ratio, repeats) for count in frames
        ],
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return report | {"peak_mb": peak / 1024}


def _methods(visual: VisualTokens, ratio: float, repeats: int) -> dict:
    """Each method's time, and the prefill it saves: the sum of layer times at its token counts."""
    n, width = visual.features.shape
    methods = [create(name, retention_ratio=ratio) for name in METHODS]
    stairs = [method.budget(n, LAYERS).per_layer(LAYERS) for method in methods]
    layer = layer_seconds(width, {n, *chain.from_iterable(stairs)})
    whole = LAYERS * layer[n]
    rows = []
    for method, stair in zip(methods, stairs, strict=True):
        spent = _median(partial(_compress, method, visual, stair[0]), repeats)
        saved = whole - sum(layer[count] for count in stair)
        rows.append(
            {
                "method": method.name,
                "tokens": [stair[0], stair[-1]],
                "compress": spent,
                "prefill_saved": saved,
                "share": spent / saved if saved > 0 else None,
            }
        )
    return {"prefill": whole, "layer": layer, "methods": rows}


def _compress(method: CompressionMethod, visual: VisualTokens, keep: int) -> Tensor:
    return method.compress(visual, keep).apply(visual.features)


def _stages(visual: VisualTokens, ratio: float, repeats: int) -> dict:
    """Median of each stage of FlashVID; they need not sum to the median of the total."""
    method, runs = TimedFlashVID(retention_ratio=ratio), []
    keep = method.budget(len(visual), LAYERS).before
    for _ in range(repeats + 1):
        TimedFlashVID.seconds = dict.fromkeys(STAGES, 0.0)  # stages that do not run
        start = time.perf_counter()
        _compress(method, visual, keep)
        runs.append({**TimedFlashVID.seconds, "total": time.perf_counter() - start})
    medians = {name: statistics.median(run[name] for run in runs[1:]) for name in runs[0]}
    return {"frames": visual.layout.grid[0], **medians}


def _median(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first is a warm-up


def table(report: dict) -> str:
    """The report as fixed-width text."""
    clip, conditions = report["clip"], report["conditions"]
    methods = text_table(
        ("method", "tokens", "compress ms", "saves s", "share"),
        [
            (
                row["method"],
                " → ".join(map(str, row["tokens"])),
                f"{1e3 * row['compress']:.1f}",
                f"{row['prefill_saved']:.1f}",
                _share(row["share"]),
            )
            for row in report["methods"]
        ],
        numbers=True,
    )
    stages = text_table(
        ("frames", *STAGES, "total", "a frame"),
        [
            (
                f"{row['frames']}",
                *(f"{1e3 * row[name]:.1f}" for name in (*STAGES, "total")),
                f"{1e3 * row['total'] / row['frames']:.2f}",
            )
            for row in report["flashvid"]
        ],
        numbers=True,
    )
    return (
        f"{clip['frames']} × {clip['tokens']} tokens of width {clip['width']}, {clip['dtype']}, "
        f"at {report['retention_ratio']:.0%}: {conditions['machine']}, "
        f"{conditions['threads']} threads, torch {conditions['torch']}, "
        f"medians of {report['repeats']}, {report['peak_mb']:,.0f} MB at most\n"
        f"prefill of all tokens: {report['prefill']:.1f} s, "
        f"{report['layers']} times one layer of random weights, which was measured\n\n"
        f"{methods}\n\nFlashVID, ms by stage\n{stages}"
    )


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.3%}"
