"""The report of one machine. Each step runs in a process of its own, which ends in time.

So a step that hangs or breaks CUDA does not affect the others, and its memory is freed.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Report:
    """The outcomes of all steps up to now; written after every step."""

    device: str  # "cuda" or "cpu"
    path: Path
    limit: float  # seconds of all steps together
    steps: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def run(self, name: str, command: Callable[[float], Sequence[str]], most: float) -> None:
        """Runs one step for at most `most` seconds, and writes the report.

        Args:
            command: of the process, by its seconds; JSON is the last line that it prints.
        """
        start = time.perf_counter()
        seconds = min(most, self.limit - (start - self.started))
        if seconds > 0:
            outcome = outcome_of(command(seconds), seconds)
        else:
            outcome = {"failed": f"No time was left of {self.limit:.0f} s."}
        self.steps[name] = outcome | {"seconds": round(time.perf_counter() - start, 1)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        report = {"conditions": conditions(self.device), "steps": self.steps}
        self.path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        line = json.dumps(self.steps[name], ensure_ascii=False)[:1000]
        print(f"[{time.perf_counter() - self.started:5.0f} s] {name}: {line}", flush=True)

    @property
    def failed(self) -> list[str]:
        return [name for name, outcome in self.steps.items() if "failed" in outcome]


def outcome_of(command: Sequence[str], seconds: float) -> dict[str, Any]:
    """The JSON that a process prints last, or the reason why there is none."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=seconds)
        outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return outcome
    except subprocess.TimeoutExpired:
        return {"failed": f"Stopped after {seconds:.0f} s."}
    except (IndexError, ValueError):
        return {"failed": f"The process printed no result and ended with {done.returncode}."}


def guarded(step: Callable[[], Any]) -> Any:
    """The result of a step, or why it failed."""
    try:
        return step()
    except Exception as error:  # any: the other steps run
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:500]}


def conditions(device: str) -> dict[str, str]:
    """The machine and the versions that the times depend on."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "cuda": torch.version.cuda or "none",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
