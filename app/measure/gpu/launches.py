"""Counts a lane's kernel launches, and the times that the host waits for the GPU.

On CUDA the profiler counts kernels, and torch reports each wait. Elsewhere the model claims to lie
on a foreign device (see foreign.py), and operations that would launch a kernel are counted: one
such operation may be several kernels, or a part of one.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from app.measure.gpu.foreign import Tally, foreign_device, move
from app.measure.uploads import CENTRE, QUESTION
from app.render.table import text_table
from models.engine.base import Adapter
from models.engine.pipeline import Lane
from models.engine.timeline import Stopwatch
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.errors import ExplainedError

PHASES = ("encode", "compress", "prefill", "decode")
COUNTED = "operations that would launch a kernel, counted on the CPU"
PROFILED = "kernels, counted by the profiler"


class Watch(Stopwatch):
    """Runs each phase of a lane inside a context. Foreign tensors do not work in inference mode."""

    def __init__(self, around: Callable[[str], AbstractContextManager[None]]) -> None:
        super().__init__(torch.device("cpu"))
        self.around = around

    @contextmanager
    def running(self, phase: str) -> Iterator[None]:
        with self.around(phase), torch.no_grad():
            yield


def abroad(adapter: Any) -> Any:
    """A copy of the adapter whose model is on the foreign device."""
    model = copy.deepcopy(adapter.model)
    move(model)
    return replace(adapter, model=model)


def steps(lane: Lane, new_tokens: int) -> None:
    """All phases of a lane; no decode where `new_tokens` is 0."""
    for step in (lane.read, lane.encode, lane.compress, lane.prefill):
        step()
    if new_tokens:
        list(lane.decode(new_tokens, 0.0, 0, stops=False))


def counted(adapter: Adapter, media: Media, method: CompressionMethod, new_tokens: int) -> Tally:
    """One lane on the foreign device; the adapter's model must lie there, see `abroad`."""
    with foreign_device() as tally:
        lane = Lane(adapter, media, QUESTION, method, CENTRE)
        lane.watch = Watch(tally.phase)
        steps(lane, new_tokens)
        lane.trace()
    return tally


def profiled(adapter: Adapter, media: Media, method: CompressionMethod, new_tokens: int) -> Tally:
    """One lane on CUDA, after one to warm up."""
    steps(Lane(adapter, media, QUESTION, method, CENTRE), new_tokens)
    tally, lane = Tally(), Lane(adapter, media, QUESTION, method, CENTRE)
    lane.watch = Watch(partial(_profiled_phase, tally))
    steps(lane, new_tokens)
    return tally


@contextmanager
def _profiled_phase(tally: Tally, phase: str) -> Iterator[None]:
    torch.cuda.synchronize()
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as recorded, tally.phase(phase), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = tally.count_warning  # called inside the operation that waits
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
    tally.launches[phase] += len(kernels(recorded))


def kernels(recorded: Any) -> list[Any]:
    """The GPU events of a profile, without copies and fills of memory."""
    on_gpu = [event for event in recorded.events() if "cuda" in str(event.device_type).lower()]
    return [event for event in on_gpu if not event.name.startswith(("Memcpy", "Memset"))]


def count(
    adapter: Adapter, media: Media, methods: Sequence[tuple[str, CompressionMethod]], tokens: int
) -> dict[str, Any]:
    """Launches and waits of each method by phase; `tokens` are decoded, at least two."""
    if tokens < 2:
        raise ValueError(f"{tokens} new tokens came, wanted at least 2.")
    on_cuda = adapter.device.type == "cuda"
    run, there = (profiled, adapter) if on_cuda else (counted, abroad(adapter))
    rows = []
    for name, method in methods:
        try:
            rows.append(_row(name, run(there, media, method, tokens)))
        except ExplainedError as error:
            rows.append({"method": name, "refused": str(error)})
    return {
        "counted": PROFILED if on_cuda else COUNTED,
        "new_tokens": tokens,
        "frames": len(media.frames) if media.kind == "video" else 0,
        "methods": rows,
    }


def _row(name: str, tally: Tally) -> dict[str, Any]:
    return {
        "method": name,
        "launches": {phase: tally.launches[phase] for phase in PHASES},
        "syncs": {phase: tally.syncs_of(phase) for phase in PHASES},
        "places": [
            {"phase": phase, "operation": operation, "place": place, "times": times}
            for (phase, operation, place), times in tally.syncs.most_common()
            if phase in PHASES
        ],
    }


def table(report: dict[str, Any], with_places: bool = False) -> str:
    """The report as fixed-width text: launches / waits, phase by phase."""
    lines: list[tuple[str, ...]] = []
    for row in report["methods"]:
        lines.append((row["method"], *cells(row)))
        if with_places:
            lines += [
                (f"    {one['times']:>4} × {one['operation']} in {one['phase']}, {one['place']}",)
                for one in row.get("places", ())
            ]
    return (
        f"{text_table(('method', *PHASES), lines, numbers=True)}\n\n"
        f"Launches / waits of the host, {report['new_tokens']} tokens decoded.\n"
        f"Launches are {report['counted']}."
    )


def cells(row: dict[str, Any]) -> list[str]:
    """Launches / waits of one method, by phase; or why it did not run."""
    if "refused" in row:
        return [f"refused: {row['refused']}"]
    return [f"{row['launches'][phase]:,} / {row['syncs'][phase]:,}" for phase in PHASES]
