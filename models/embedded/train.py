"""Train the embedded image model: `python -m models.embedded.train encoder|answers|all`.

Every stage is seeded, keeps a checkpoint and a log in `--work`, and goes on from there when it is
started again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.embedded import answering, perception
from models.embedded.build import pixels, save, untrained
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import fit
from models.embedded.world import draw_scene, training_seed

ROOT = Path(__file__).resolve().parents[2]
ENCODER_BATCH, ANSWER_BATCH = 32, 16
RESET = 0.5  # share of pictures whose [CLS] starts anew before the layer that methods read


def perception_batch(step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(B, H, W, 3) uint8 and its labels."""
    first = step * ENCODER_BATCH
    scenes = [draw_scene(training_seed(first + i)) for i in range(ENCODER_BATCH)]
    truths = [perception.labels(scene) for scene in scenes]
    stacked = {key: torch.stack([truth[key] for truth in truths]) for key in truths[0]}
    return torch.from_numpy(np.stack([scene.picture for scene in scenes])), stacked


class Perceiver(torch.nn.Module):
    """The encoder with the heads that teach it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.tower = untrained(make_tokenizer(), seed).model.vision_tower
        width = self.tower.config.hidden_size
        self.heads = torch.nn.ModuleList([perception.Heads(width), perception.Heads(width)])

    def loss(self, batch: tuple, step: int) -> tuple[torch.Tensor, dict]:
        pictures, truth = batch
        used, last = perception.rolled_states(self.tower, pixels(pictures), RESET)
        value, shown = perception.loss(self.heads[0], used, truth)
        extra, _ = perception.loss(self.heads[1], last, truth)
        return value + 0.3 * extra, shown


def train_encoder(options: argparse.Namespace) -> Path:
    perceiver = Perceiver(options.seed)
    fit(
        perceiver,
        perception_batch,
        perceiver.loss,
        steps=options.encoder_steps,
        rate=2e-3,
        folder=options.work,
        name="encoder",
    )
    return options.work / "encoder.pt"


def train_answers(options: argparse.Namespace) -> None:
    perceiver = Perceiver(options.seed)
    state = torch.load(options.work / "encoder.pt", weights_only=True)
    perceiver.load_state_dict(state["module"])
    tokenizer = make_tokenizer()
    model = untrained(tokenizer, options.seed)
    model.model.vision_tower.load_state_dict(perceiver.tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    student = answering.Student(model, tokenizer, options.answer_steps)
    fit(
        student,
        partial(answering.batch, size=ANSWER_BATCH, steps=options.answer_steps, seed=options.seed),
        student.loss,
        steps=options.answer_steps,
        rate=2e-3,
        folder=options.work,
        name="answers",
    )
    save(model, tokenizer, options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["encoder", "answers", "all"])
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-image")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "embedded" / "image")
    parser.add_argument("--encoder-steps", type=int, default=1000)
    parser.add_argument("--answer-steps", type=int, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.stage in ("encoder", "all"):
        train_encoder(options)
    if options.stage in ("answers", "all"):
        train_answers(options)


if __name__ == "__main__":
    main()
