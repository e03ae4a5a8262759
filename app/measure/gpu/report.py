"""The report of one machine: step by step, so that one failure never costs the rest."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


@dataclass
class Report:
    """What was measured so far; it is written after every step."""

    device: str  # "cuda" or "cpu"
    path: Path
    limit: float  # seconds for all steps together
    steps: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds_left(self) -> float:
        return self.limit - (time.perf_counter() - self.started)

    def run(self, name: str, step: Callable[[], Any]) -> None:
        """Run one step, note how long it took, and write the report, whatever happens."""
        start = time.perf_counter()
        if self.seconds_left <= 0:
            outcome: dict[str, Any] = {"failed": f"No time was left of {self.limit:.0f} s."}
        else:
            outcome = attempt(step)
        self.steps[name] = outcome | {"seconds": round(time.perf_counter() - start, 1)}
        self.write()
        said = json.dumps(self.steps[name], ensure_ascii=False)
        print(f"[{time.perf_counter() - self.started:5.0f} s] {name}: {said[:1000]}", flush=True)

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        told = {"conditions": conditions(self.device), "steps": self.steps}
        self.path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    @property
    def failed(self) -> list[str]:
        return [name for name, outcome in self.steps.items() if "failed" in outcome]


def attempt(step: Callable[[], Any]) -> dict[str, Any]:
    """What a step gives, or why it failed; memory of the device is given back either way."""
    try:
        outcome: dict[str, Any] = step()
    except Exception as error:  # any: the other steps shall run
        outcome = {"failed": f"{type(error).__name__}: {error}"[:500]}
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return outcome


def conditions(device: str) -> dict[str, str]:
    """The machine and the versions, without which a time says nothing."""
    on_cuda = device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_cuda else "CPU",
        "cuda": torch.version.cuda or "none",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def median_ms(run: Callable[[], object], device: str, repeats: int, warm_up: int = 2) -> float:
    """Milliseconds of a run, the device awaited at both edges."""
    times = []
    for _ in range(warm_up + repeats):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times[warm_up:])[repeats // 2]


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
