"""Train the embedded image model: `python -m models.embedded.training.image all`, or one stage.

Every stage is seeded, keeps a checkpoint and a log in `--work`, and goes on from there when it is
started again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration

from models.embedded.build import pixels, save, untrained
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import answering, perception
from models.embedded.training.fit import fit, run_stages, weights_in
from models.embedded.world.scenes import draw_scene, training_seed

ROOT = Path(__file__).resolve().parents[3]
RESET = 0.5  # share of pictures whose [CLS] starts anew before the layer that methods read


def perception_batch(
    step: int, *, size: int, seed: int
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(B, H, W, 3) uint8 and its labels."""
    first = step * size + seed * 10**8
    scenes = [draw_scene(training_seed(first + i)) for i in range(size)]
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


def train_encoder(options: argparse.Namespace) -> None:
    perceiver = Perceiver(options.seed)
    if options.begin:
        perceiver.tower.load_state_dict(_saved(options.begin).model.vision_tower.state_dict())
    fit(
        perceiver,
        partial(perception_batch, size=2 * options.batch, seed=options.seed),
        perceiver.loss,
        steps=options.encoder_steps,
        rate=2e-3,
        folder=options.work,
        device=options.device,
        workers=options.workers,
        name="encoder",
    )


def student_of(options: argparse.Namespace, steps: int) -> answering.Student:
    """The language model as it begins, behind the encoder trained in `--work`, else `--begin`'s."""
    tokenizer, encoder = make_tokenizer(), options.work / "encoder.pt"
    model = _saved(options.begin) if options.begin else untrained(tokenizer, options.seed)
    if encoder.exists() or not options.begin:
        perceiver = Perceiver(options.seed)
        perceiver.load_state_dict(weights_in(encoder))
        model.model.vision_tower.load_state_dict(perceiver.tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    return answering.Student(model, tokenizer, steps)


def train_answers(options: argparse.Namespace) -> None:
    student = student_of(options, options.answer_steps)
    fit(
        student,
        partial(answering.batch, size=options.batch, seed=options.seed),
        student.loss,
        steps=options.answer_steps,
        rate=1.5e-3,
        folder=options.work,
        device=options.device,
        workers=options.workers,
        name="answers",
    )


def save_model(options: argparse.Namespace) -> None:
    student = student_of(options, steps=1)
    student.load_state_dict(weights_in(options.work / "answers.pt"))
    save(student.model, make_tokenizer(), options.out)


def _saved(folder: Path) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


STAGES = {
    "encoder": train_encoder,
    "answers": train_answers,
    "save": save_model,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-image")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "embedded" / "image")
    parser.add_argument("--begin", type=Path, help="go on from the model saved in this folder")
    parser.add_argument("--encoder-steps", type=int, default=2000)
    parser.add_argument("--answer-steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    run_stages(parser, STAGES)


if __name__ == "__main__":
    main()
