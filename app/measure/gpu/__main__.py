"""Checks and times of this project on a GPU in one run: `python -m app.measure.gpu`, or `make gpu`.

At most eight minutes, a process for each step, the report written after each. It needs torch,
transformers, numpy and Pillow, and pytest for the marked tests. `--tiny` runs the same steps on a
CPU, to test them: its times do not predict those of a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import models.openmp  # noqa: F401  before torch is imported

import torch  # isort: skip

from app.measure.gpu.report import ROOT, Report, guarded

RESULTS = ROOT / "assets" / "results" / "gpu"
LIMIT = 480.0  # seconds of all steps
STEPS = {  # seconds of each step at most
    "ceilings": 60,
    "same": 90,
    "tests": 120,
    "compression": 60,
    "llava-1.5-7b": 140,
    "llava-onevision-7b": 140,
    "training": 60,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the steps. Returns 1 if one failed, 2 if there is no GPU."""
    options = parse(arguments)
    device = "cpu" if options.tiny else "cuda"
    if options.step:
        step = partial(run_step, options.step, device, options.limit, options.official)
        print(json.dumps(guarded(step), default=str), flush=True)
        return 0
    if not options.tiny and not torch.cuda.is_available():
        print("tokenscope: there is no CUDA device here; --tiny runs on the CPU.", file=sys.stderr)
        return 2
    report = Report(device, options.out or default_path(device), options.limit)
    for name in options.steps or STEPS:
        report.run(name, partial(command, name, options), STEPS[name])
    print(f"written to {report.path}")
    return 1 if report.failed else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.measure.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="on the CPU, smaller and fewer")
    parser.add_argument("--out", type=Path, help="the report; default by the GPU's name")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of all steps")
    official = os.environ.get("OFFICIAL", "")
    parser.add_argument("--official", default=official, help="folder of the papers' own code")
    parser.add_argument("--steps", nargs="+", choices=STEPS, help="default: all")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # in this process
    return parser.parse_args(arguments)


def default_path(device: str) -> Path:
    """In the folder $OUT if it is set, else among the project's results."""
    name = torch.cuda.get_device_name() if device == "cuda" else "tiny"
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if out := os.environ.get("OUT"):
        return Path(out) / f"{stem}.json"
    return (RESULTS if device == "cuda" else ROOT / "out") / f"{stem}.json"


def command(name: str, options: argparse.Namespace, seconds: float) -> list[str]:
    """The process of one step."""
    official = str(Path(options.official).resolve()) if options.official else ""
    given = ["--step", name, "--limit", f"{seconds:.0f}", "--official", official]
    return [sys.executable, "-m", "app.measure.gpu", *given, *(["--tiny"] * options.tiny)]


def run_step(name: str, device: str, seconds: float, official: str) -> dict[str, Any]:
    """One step in this process; imports only what the step needs."""
    tiny = device == "cpu"
    if name == "training":
        from app.measure.gpu.training import training

        return training(device)
    if name in ("same", "tests"):
        from app.measure.gpu import checks

        return checks.same_as_cpu(device) if name == "same" else checks.marked_tests(seconds)
    if name in ("ceilings", "compression"):
        from app.measure.gpu import costs

        if name == "ceilings":
            return costs.ceilings(device, tiny)
        return costs.compression(device, tiny, official)
    from app.measure.gpu import shapes

    return shapes.lanes((shapes.TINY if tiny else shapes.PLANS)[name], device, seconds)


if __name__ == "__main__":
    sys.exit(main())
