"""A training goes on where it stopped, stops when its time is over, and cools down at the end."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from models.embedded.training import fit
from models.embedded.training.fit import Machine

pytestmark = pytest.mark.slow  # of the training alone


class Line(nn.Module):
    """A module small enough to train in a test."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(3, 3)])})
        nn.init.eye_(self.only.weight)
        nn.init.zeros_(self.only.bias)

    @property
    def only(self) -> nn.Linear:
        return self.inner["layers"][0]


def run(folder: Path, breaks: int | None = None, minutes: float = 1e9) -> tuple[torch.Tensor, bool]:
    """The weight after 20 steps, or as many as there was time for; whether all were taken."""
    line = Line()

    def loss(batch: torch.Tensor, step: int) -> tuple[torch.Tensor, dict]:
        if step == breaks:
            raise KeyboardInterrupt
        return ((line.only(batch).float() - 1) ** 2).sum(), {}

    done = fit.fit(
        line,
        lambda step: torch.full((3,), float(step % 4)),
        loss,
        steps=20,
        rate=1e-2,
        folder=folder,
        name="line",
        machine=Machine(minutes=minutes, save_every=0),
    )
    return line.only.weight.detach(), done


def test_a_stopped_run_ends_where_an_unbroken_one_does(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", breaks=12)
    assert torch.equal(run(tmp_path / "broken")[0], run(tmp_path / "whole")[0])
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken" / "line.jsonl").open()]
    assert steps == [0, 10, 19]


def test_a_run_that_is_out_of_time_stops_with_a_checkpoint_and_goes_on(tmp_path):
    done = [run(tmp_path / "short", minutes=0)[1] for _ in range(20)]  # one step each
    assert done == [False] * 19 + [True]
    assert torch.equal(run(tmp_path / "short")[0], run(tmp_path / "whole")[0])


def test_the_rate_rises_stays_and_falls():
    rates = [fit.Optimiser(Line(), 1.0, 1000).rate_at(step) for step in range(1000)]
    assert rates[0] < 0.05 and rates[fit.WARMUP] == rates[400] == 1.0
    assert rates[-1] < 0.03 and all(a >= b for a, b in pairwise(rates[400:]))
