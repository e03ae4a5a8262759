"""Measures time and memory of one lane's steps, with the device synchronised at each edge."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.devices import synchronize


class Stopwatch:
    """Seconds of each phase, and the peak device memory of this lane.

    Lanes that share a device take turns, so memory allocated during a step belongs to the lane of
    that step: the figures equal those of a lane run alone, without the weights.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._held = 0  # bytes still allocated after earlier steps
        self._peak = 0

    @property
    def peak_bytes(self) -> int | None:
        """None where it cannot be measured: on the CPU and on Apple's GPUs."""
        return self._peak if self.device.type == "cuda" else None

    @contextmanager
    def running(self, phase: str) -> Iterator[None]:
        """Measures one step of `phase`, or a part of it."""
        on_cuda = self.device.type == "cuda"
        synchronize(self.device)
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
        started = time.perf_counter()
        with torch.inference_mode():
            yield
        synchronize(self.device)
        self.seconds[phase] += time.perf_counter() - started
        if on_cuda:
            reached = torch.cuda.max_memory_allocated(self.device)
            self._peak = max(self._peak, self._held + reached - before)
            self._held += torch.cuda.memory_allocated(self.device) - before
