"""Runs lanes in turns and computes their median times, so that a drifting clock slows all lanes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from app.measure.uploads import CENTRE, QUESTION
from models.engine.base import Adapter
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.errors import UnsupportedError

WARM_UP = 2  # runs of each lane that do not count
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
Lane = tuple[str, CompressionMethod]  # with the name that asks for the method


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


class Turns:
    """The runs of all lanes; a refusal replaces the runs of its lane by the reason."""

    def __init__(
        self,
        adapter: Adapter,
        media: Media,
        lanes: Sequence[Lane],
        new_tokens: int,
        caught: type[Exception] = UnsupportedError,
    ) -> None:
        self.adapter, self.media, self.lanes = adapter, media, lanes
        self.new_tokens, self.caught = new_tokens, caught
        self.runs: list[list[LaneResult] | str] = [[] for _ in lanes]

    def run_round(self) -> None:
        """One run of every lane that was not refused."""
        for index, (runs, (_, method)) in enumerate(zip(self.runs, self.lanes, strict=True)):
            if isinstance(runs, str):
                continue
            try:
                runs.append(self.run(method))
            except self.caught as error:
                kind = "" if isinstance(error, UnsupportedError) else f"{type(error).__name__}: "
                self.runs[index] = f"{kind}{error}"[:300]

    def run(self, method: CompressionMethod) -> LaneResult:
        *_, result = run_lane(
            self.adapter,
            self.media,
            QUESTION,
            method,
            gaze=CENTRE,
            max_new_tokens=self.new_tokens,
            stops=False,
        )
        assert isinstance(result, LaneResult)
        return result

    def rows(self, warm_up: int = WARM_UP) -> list[Row]:
        """The medians of every lane without its first `warm_up` runs."""
        lanes = zip(self.lanes, self.runs, strict=True)
        return [_row(*lane, runs, warm_up) for lane, runs in lanes]


def _row(name: str, method: CompressionMethod, runs: list[LaneResult] | str, warm_up: int) -> Row:
    ratio = getattr(method, "retention_ratio", None)
    if isinstance(runs, str):
        return Row(name, ratio, refused=runs)
    counted, last = runs[warm_up:], runs[-1]

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
