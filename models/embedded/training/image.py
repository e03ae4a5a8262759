"""Train the embedded image model: `python -m models.embedded.training.image all`.

Every stage is seeded and writes a checkpoint and a log to `--work`; started again, it continues
from there. On CUDA batches are larger and steps fewer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from models.embedded.build import GRID, PATCH, pixels, untrained
from models.embedded.growing import begin_from, begin_tower
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import answering, perception
from models.embedded.training.canvas import batch_size, canvas, first_upload
from models.embedded.training.command import ROOT, Stage, run_stages
from models.embedded.training.fit import weights_in
from models.embedded.world.scenes import draw_scene, training_seed

ENCODER = Stage(
    "encoder",
    rate={"cpu": 2e-3, "cuda": 2e-3},
    rows={"cpu": 3_000, "cuda": 74_000},
    steps={"cpu": 2_600, "cuda": 1_500},
)
ANSWERS = Stage(
    "answers",
    rate={"cpu": 1.4e-3, "cuda": 1.5e-3},
    rows={"cpu": 3_600, "cuda": 80_000},
    steps={"cpu": 6_000, "cuda": 3_000},
)
RESET = 0.5  # share of pictures whose [CLS] is reset before the layer that methods read


def perception_batch(
    step: int, *, steps: int, seed: int, rows: int, native: int = GRID
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(B, H, W, 3) uint8 of one size, and labels."""
    shape = canvas(step, steps, seed, native)
    count = batch_size(rows, shape[0] * shape[1])
    first = first_upload(step, seed)
    scenes = [
        draw_scene(training_seed(first + i), shape[0] * PATCH, shape=shape) for i in range(count)
    ]
    truths = [perception.labels(scene, *shape) for scene in scenes]
    stacked = {key: torch.stack([truth[key] for truth in truths]) for key in truths[0]}
    return torch.from_numpy(np.stack([scene.picture for scene in scenes])), stacked


class Perceiver(torch.nn.Module):
    """The encoder and the heads that train it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.tower = untrained(make_tokenizer(), seed).model.vision_tower
        width = self.tower.config.hidden_size
        self.heads = torch.nn.ModuleList([perception.Heads(width), perception.Heads(width)])

    def loss(self, batch: tuple, step: int) -> tuple[torch.Tensor, dict]:
        pictures, truth = batch
        used, last = perception.states(self.tower, pixels(pictures), RESET)
        value, shown = perception.loss(self.heads[0], used, truth)
        extra, _ = perception.loss(self.heads[1], last, truth)
        return value + 0.3 * extra, {"tokens": truth["owner"].shape[1]} | shown


def train_encoder(options: argparse.Namespace) -> bool:
    perceiver = Perceiver(options.seed)
    if options.begin:
        begin_tower(perceiver.tower, _saved(options.begin).model.vision_tower)
    return ENCODER.train(perceiver, perception_batch, options)


def student_of(options: argparse.Namespace) -> answering.Student:
    """The model before its first step: of `--begin`, with the encoder of `--work` if trained."""
    tokenizer, encoder = make_tokenizer(), options.work / "encoder.pt"
    model = untrained(tokenizer, options.seed)
    if options.begin:
        begin_from(
            model, tokenizer, _saved(options.begin), AutoTokenizer.from_pretrained(options.begin)
        )
    if encoder.exists() or not options.begin:
        perceiver = Perceiver(options.seed)
        perceiver.load_state_dict(weights_in(encoder))
        model.model.vision_tower.load_state_dict(perceiver.tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    return answering.Student(model, ANSWERS.num_steps(options))


def train_answers(options: argparse.Namespace) -> bool:
    return ANSWERS.train(student_of(options), answering.batch, options)


def _saved(folder: Path) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-image")
    parser.add_argument("--begin", type=Path, help="begin from the model saved in this folder")
    run_stages(parser, {"encoder": train_encoder, "answers": train_answers})


if __name__ == "__main__":
    main()
