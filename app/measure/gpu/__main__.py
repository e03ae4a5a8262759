"""What a GPU does with this project, in one run: `python -m app.measure.gpu`, or `make gpu`.

Checks first, times after. At most eight minutes, every step guarded, the report written after each.
It needs torch, transformers, numpy and Pillow, and pytest for the marked tests. `--tiny` runs the
same steps on a CPU, to show that they run: its times say nothing of a GPU.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import models.openmp  # noqa: F401  before anything brings torch

import torch  # isort: skip

from app.measure.gpu import ceilings, checks, costs, shapes, training
from app.measure.gpu.report import Report

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "assets" / "results" / "gpu"
LIMIT = 480.0  # seconds for all steps
LANES = 100.0  # seconds for the lanes of each 7B shape


def main(arguments: list[str] | None = None) -> int:
    """Run the steps; 1 where one failed, 2 where there is no GPU."""
    options = parse(arguments)
    if not options.tiny and not torch.cuda.is_available():
        print("tokenscope: there is no CUDA device here; --tiny runs on the CPU.", file=sys.stderr)
        return 2
    device = "cpu" if options.tiny else "cuda"
    report = Report(device, options.out or default_path(device), options.limit)
    every = steps(report, options.tiny, options.official)
    for name in options.steps or every:
        report.run(name, every[name])
    print(f"written to {report.path}")
    return 1 if report.failed else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.measure.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="on the CPU, smaller and fewer")
    parser.add_argument("--out", type=Path, help="the report; default by the GPU's name")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for all steps")
    official = os.environ.get("OFFICIAL", "")
    parser.add_argument("--official", default=official, help="folder of the papers' own code")
    names = ("ceilings", "same", "tests", "compression", *shapes.PLANS, "training")
    parser.add_argument("--steps", nargs="+", choices=names, help="default: all")
    return parser.parse_args(arguments)


def default_path(device: str) -> Path:
    """In the folder $OUT where it is set, else among the project's results."""
    name = torch.cuda.get_device_name() if device == "cuda" else "tiny"
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if out := os.environ.get("OUT"):
        return Path(out) / f"{stem}.json"
    return (RESULTS if device == "cuda" else ROOT / "out") / f"{stem}.json"


def steps(report: Report, tiny: bool, official: str) -> dict[str, Callable[[], Any]]:
    """Every step by its name, in order."""
    device = report.device

    def lanes(plan: shapes.Plan) -> dict[str, Any]:
        speed = report.steps.get("ceilings", {}).get("copy_gb_s", 0.0)
        limit = max(min(LANES, report.seconds_left - 30), 0)
        return shapes.lanes(plan, device, tiny, limit, speed)

    plans = shapes.TINY if tiny else shapes.PLANS
    return {
        "ceilings": partial(ceilings.ceilings, device, tiny),
        "same": partial(checks.same_as_cpu, device, tiny),
        "tests": checks.marked_tests,
        "compression": partial(costs.compression, device, tiny, official),
        **{name: partial(lanes, plan) for name, plan in plans.items()},
        "training": partial(training.training, device, tiny),
    }


if __name__ == "__main__":
    sys.exit(main())
