"""What both training stages share: optimiser, schedule, log, and picking up where one stopped."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

WARMUP = 60  # steps
ON_CPU, ON_CUDA = (16, 1), (256, 12)  # uploads a step, and processes that draw them


class Drawn(IterableDataset):
    """Batches made by a function of their number, so that a resumed run sees what it missed."""

    def __init__(self, make: Callable[[int], Any], first: int, last: int) -> None:
        self.make, self.first, self.last = make, first, last

    def __iter__(self) -> Iterator[Any]:
        """Each of several workers makes every n-th batch; the loader takes them in order."""
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first + first, self.last, stride):
            yield self.make(step)


class Optimiser:
    """Muon for the matrices inside layers, AdamW for everything else, one cosine for both."""

    def __init__(self, module: nn.Module, rate: float, steps: int) -> None:
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if p.ndim == 2 and ".layers." in n]
        others = [p for n, p in named if not (p.ndim == 2 and ".layers." in n)]
        self.parts = [
            torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.parameters, self.rate, self.steps = [p for _, p in named], rate, steps

    def step(self, step: int) -> float:
        progress = step / self.steps
        rate = (
            self.rate
            * min(1, (step + 1) / WARMUP)
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)
        return float(norm)

    def state_dict(self) -> list:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def fit(
    module: nn.Module,
    make_batch: Callable[[int], Any],
    loss: Callable[[Any, int], tuple[Tensor, dict]],
    *,
    steps: int,
    rate: float,
    folder: Path,
    name: str,
    device: str = "cpu",
    workers: int = 1,
    save_every: int = 100,
) -> None:
    """Run to `steps`, from the last checkpoint in `folder` if there is one; one log line in ten.

    `loss` runs in bfloat16 and with `device` as the default device of new tensors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module.to(device)
    checkpoint, log = folder / f"{name}.pt", folder / f"{name}.jsonl"
    optimiser = Optimiser(module, rate, steps)
    first, spent = restore(checkpoint, module, optimiser)
    loader = DataLoader(
        Drawn(make_batch, first, steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    start = time.perf_counter() - spent
    bar = tqdm(loader, total=steps, initial=first, desc=name, mininterval=5)
    for step, batch in enumerate(bar, start=first):
        torch.manual_seed(step)
        with torch.device(device), torch.autocast(device, torch.bfloat16):
            value, shown = loss(moved(batch, device), step)
        value.backward()
        optimiser.step(step)
        if step % 10 == 0 or step == steps - 1:
            line = {"step": step, "seconds": time.perf_counter() - start, "loss": value.item()}
            with log.open("a") as file:
                file.write(json.dumps(line | shown) + "\n")
            bar.set_postfix({k: f"{v:.3f}" for k, v in (line | shown).items() if k != "step"})
        if (step + 1) % save_every == 0 or step == steps - 1:
            save(checkpoint, module, optimiser, step + 1, time.perf_counter() - start)


def moved(batch: Any, device: str) -> Any:
    """A batch of tensors, in dicts or sequences, on the device."""
    if isinstance(batch, dict):
        return {key: moved(part, device) for key, part in batch.items()}
    if isinstance(batch, list | tuple):  # the loader makes lists of tuples
        return [moved(part, device) for part in batch]
    return batch.to(device, non_blocking=True)


def restore(checkpoint: Path, module: nn.Module, optimiser: Optimiser) -> tuple[int, float]:
    """The step to go on from and the seconds spent, 0 and 0 if there is no checkpoint."""
    if not checkpoint.exists():
        return 0, 0.0
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    module.load_state_dict(state["module"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["seconds"]


def save(
    checkpoint: Path, module: nn.Module, optimiser: Optimiser, step: int, seconds: float
) -> None:
    """Replace the checkpoint; a run that is killed meanwhile keeps the old one."""
    parts = {"module": module.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**parts, "step": step, "seconds": seconds}, checkpoint.with_suffix(".new"))
    checkpoint.with_suffix(".new").replace(checkpoint)


def weights_in(checkpoint: Path) -> dict[str, Tensor]:
    """What `fit` left of the module."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    weights: dict[str, Tensor] = state["module"]
    return weights


def run_stages(
    parser: argparse.ArgumentParser, stages: Mapping[str, Callable[[argparse.Namespace], None]]
) -> None:
    """The command line of a training: one of its stages, or all in order."""
    parser.add_argument("stage", choices=[*stages, "all"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="uploads a step; default: 16, or 256 on CUDA")
    parser.add_argument("--workers", type=int, help="processes that draw; default: 1, 12 on CUDA")
    options = parser.parse_args()
    batch, workers = ON_CUDA if options.device.startswith("cuda") else ON_CPU
    options.batch, options.workers = options.batch or batch, options.workers or workers
    for stage, train in stages.items():
        if options.stage in (stage, "all"):
            train(options)
