"""The training loop of all stages: optimiser, schedule, log and checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

WARMUP = 60  # steps
COOLDOWN = 0.6  # share of the steps, at the end, in which the rate falls to its floor
FLOOR = 0.02  # of the rate, at the last step


@dataclass(frozen=True)
class Machine:
    """Where a stage runs, and for how long."""

    device: str = "cpu"
    workers: int = 0  # processes that draw
    minutes: float = math.inf  # time limit; the stage then stops with a checkpoint
    save_every: float = 120  # seconds between checkpoints


class Drawn(IterableDataset):
    """Batches as a function of their index, so a resumed run continues with the next batch."""

    def __init__(self, make: Callable[[int], Any], first: int, last: int) -> None:
        self.make, self.first, self.last = make, first, last

    def __iter__(self) -> Iterator[Any]:
        """Each worker makes every n-th batch; the loader takes them in turn, in order."""
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first + offset, self.last, stride):
            yield self.make(step)


class Optimiser:
    """Muon for the matrices inside layers, AdamW for all other parameters, one schedule for both.

    The rate rises, is constant, and falls over the last steps. While it is constant, the number of
    steps may still be raised.
    """

    def __init__(self, module: nn.Module, rate: float, steps: int, first: int = 0) -> None:
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if p.ndim == 2 and ".layers." in n]
        others = [p for n, p in named if not (p.ndim == 2 and ".layers." in n)]
        self.parts = [
            torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.parameters, self.rate, self.steps = [p for _, p in named], rate, steps
        self.first = first

    def rate_at(self, step: int) -> float:
        left = (self.steps - step) / (COOLDOWN * self.steps)
        risen = min(1, (step + 1 - self.first) / WARMUP)
        return self.rate * risen * (FLOOR + (1 - FLOOR) * min(1, left))

    def step(self, step: int) -> None:
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.rate_at(step)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


class Progress:
    """The checkpoint and the log of one stage in a folder."""

    def __init__(self, folder: Path, name: str, module: nn.Module, optimiser: Optimiser) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint, self.log = folder / f"{name}.pt", folder / f"{name}.jsonl"
        self.module, self.optimiser = module, optimiser
        self.first, spent = optimiser.first, 0.0
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            module.load_state_dict(state["module"])
            optimiser.load_state_dict(state["optimiser"])
            self.first, spent = state["step"], state["seconds"]
        self.begun = self.saved = time.perf_counter()
        self.start = self.begun - spent

    def write(self, line: dict[str, float]) -> dict[str, float]:
        line = {"seconds": round(time.perf_counter() - self.start, 1)} | line
        rounded = {key: round(value, 5) for key, value in line.items()}
        with self.log.open("a") as file:
            file.write(json.dumps(rounded) + "\n")
        return rounded

    def save(self, step: int) -> None:
        """Write a checkpoint to continue from `step`; replaces the old one atomically."""
        self.saved = time.perf_counter()
        state = {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": step,
            "seconds": self.saved - self.start,
        }
        torch.save(state, self.checkpoint.with_suffix(".new"))
        self.checkpoint.with_suffix(".new").replace(self.checkpoint)


def fit(
    module: nn.Module,
    make_batch: Callable[[int], Any],
    loss: Callable[[Any, int], tuple[Tensor, dict]],
    *,
    steps: int,
    rate: float,
    folder: Path,
    name: str,
    machine: Machine | None = None,
    first: int = 0,
) -> bool:
    """Train up to `steps`, from the last checkpoint in `folder`, else from step `first`.

    Logs every tenth step. Returns False if the machine's time limit came first.
    """
    machine = machine or Machine()
    module.to(machine.device)
    optimiser = Optimiser(module, rate, steps, first)
    progress = Progress(folder, name, module, optimiser)
    loader = DataLoader(
        Drawn(make_batch, progress.first, steps),
        batch_size=None,
        num_workers=machine.workers,
        prefetch_factor=4 if machine.workers else None,
        pin_memory=machine.device == "cuda",
    )
    bar = tqdm(loader, total=steps, initial=progress.first, desc=name, mininterval=10)
    for step, batch in enumerate(bar, start=progress.first):
        torch.manual_seed(step)
        batch = moved(batch, machine.device)
        with torch.autocast(machine.device, torch.bfloat16):
            value, shown = loss(batch, step)
        value.backward()
        optimiser.step(step)
        if step % 10 == 0 or step == steps - 1:
            line = progress.write({"step": step, "loss": value.item()} | shown)
            bar.set_postfix({k: f"{v:.3f}" for k, v in line.items() if k != "step"})
        now = time.perf_counter()
        late = now - progress.begun > 60 * machine.minutes
        if late or step == steps - 1 or now - progress.saved > machine.save_every:
            progress.save(step + 1)
        if late:
            return step == steps - 1
    return True


def moved(batch: Any, device: str) -> Any:
    """The batch with its tensors on the device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(moved(value, device) for value in batch)
    return batch


def weights_in(checkpoint: Path) -> dict[str, Tensor]:
    """The weights of the module in a checkpoint of `fit`."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    weights: dict[str, Tensor] = state["module"]
    return weights
