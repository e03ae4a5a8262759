"""The command line that the trainings share."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from models.embedded.training.fit import Machine

ROOT = Path(__file__).resolve().parents[3]


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Where to run and for how long."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=found)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU, while it trains")
    parser.add_argument("--workers", type=int, help="processes that draw; default: cores on CUDA")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop then, with a checkpoint"
    )


def machine_of(options: argparse.Namespace) -> Machine:
    workers = options.workers
    if workers is None:
        workers = max(1, len(os.sched_getaffinity(0)) - 1) if options.device == "cuda" else 0
    return Machine(options.device, workers, options.minutes)


def run_stages(
    parser: argparse.ArgumentParser, stages: Mapping[str, Callable[[argparse.Namespace], bool]]
) -> None:
    """One of the stages, or all in order until one runs out of time."""
    parser.add_argument("stage", choices=[*stages, "all"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen = [options.stage] if options.stage != "all" else list(stages)
    for stage in chosen:
        if not stages[stage](options):
            print(f"{stage}: stopped after {options.minutes:g} minutes; run it again to go on")
            return
