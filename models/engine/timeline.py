"""A lane's own clock: it runs inside the lane's steps only and awaits the device at each edge."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Seconds by phase, and the most memory that this lane itself held on the device.

    Lanes that share a device take turns, so what the allocator gains during a step belongs to the
    lane whose step it was: the figures are those of a lane run alone, weights not counted.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._held = 0  # bytes that earlier steps left behind
        self._peak = 0

    @property
    def peak_bytes(self) -> int | None:
        """None on the CPU, whose memory nobody counts."""
        return self._peak if self.device.type == "cuda" else None

    @contextmanager
    def running(self, phase: str) -> Iterator[None]:
        """One step, or a part of one, of `phase`."""
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
        started = time.perf_counter()
        with torch.inference_mode():
            yield
        if on_cuda:
            torch.cuda.synchronize(self.device)
        self.seconds[phase] += time.perf_counter() - started
        if on_cuda:
            reached = torch.cuda.max_memory_allocated(self.device)
            self._peak = max(self._peak, self._held + reached - before)
            self._held += torch.cuda.memory_allocated(self.device) - before
