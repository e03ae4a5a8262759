"""The command line and the stages that both trainings share."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.embedded.training.fit import Machine, fit

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Stage:
    """The settings of one stage, by device."""

    name: str  # of its checkpoint and its log
    rate: Mapping[str, float]
    rows: Mapping[str, int]  # of a batch
    steps: Mapping[str, int]  # unless the command line sets others

    def num_steps(self, options: argparse.Namespace) -> int:
        return int(getattr(options, f"{self.name}_steps") or self.steps[options.device])

    def train(
        self,
        module: nn.Module,
        batch: Callable[..., Any],
        options: argparse.Namespace,
        seed: int | None = None,
    ) -> bool:
        """Fit the module; False if the time ran out before the last step.

        `batch` takes the number of a step, `steps`, `seed` and `rows`.
        """
        device, steps = options.device, self.num_steps(options)
        seed = options.seed if seed is None else seed
        return fit(
            module,
            partial(batch, steps=steps, seed=seed, rows=self.rows[device]),
            module.loss,
            steps=steps,
            rate=self.rate[device],
            folder=options.work,
            name=self.name,
            machine=machine_of(options),
            first=options.first_step,
        )


def machine_of(options: argparse.Namespace) -> Machine:
    workers = options.workers
    if workers is None:
        workers = max(1, len(os.sched_getaffinity(0)) - 1) if options.device == "cuda" else 0
    return Machine(options.device, workers, options.minutes)


def run_stages(
    parser: argparse.ArgumentParser, stages: Mapping[str, Callable[[argparse.Namespace], bool]]
) -> None:
    """Run one of the stages, or all in order until one runs out of time."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("stage", choices=[*stages, "all"])
    parser.add_argument("--encoder-steps", type=int)
    parser.add_argument("--answer-steps", type=int, dest="answers_steps")
    parser.add_argument("--first-step", type=int, default=0, help="of a model that is half trained")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], default=found)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, for training")
    parser.add_argument("--workers", type=int, help="processes that draw; default: cores on CUDA")
    parser.add_argument("--minutes", type=float, default=math.inf, help="time limit")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen = [options.stage] if options.stage != "all" else list(stages)
    for stage in chosen:
        if not stages[stage](options):
            print(f"{stage}: stopped after {options.minutes:g} minutes; run it again to continue")
            return
