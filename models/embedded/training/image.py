"""Train the embedded image model: `python -m models.embedded.training.image all`.

Every stage is seeded, keeps a checkpoint and a log in `--work`, and goes on from there when it is
started again. On CUDA batches are larger and steps fewer.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from models.embedded.build import GRID, PATCH, pixels, save, untrained
from models.embedded.growing import begin_from, begin_tower
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import answering, perception
from models.embedded.training.canvas import batch_size, canvas, first_upload
from models.embedded.training.command import ROOT, add_machine, machine_of, run_stages
from models.embedded.training.fit import fit, weights_in
from models.embedded.world.scenes import draw_scene, training_seed

ENCODER_RATE = {"cpu": 2e-3, "cuda": 2e-3}
ENCODER_TOKENS = {"cpu": 3_000, "cuda": 74_000}  # of a batch
ENCODER_STEPS = {"cpu": 2_600, "cuda": 1_500}
ANSWER_RATE = {"cpu": 1.4e-3, "cuda": 1.5e-3}
ANSWER_ROWS = {"cpu": 3_600, "cuda": 80_000}  # of a batch
ANSWER_STEPS = {"cpu": 6_000, "cuda": 3_000}
RESET = 0.5  # share of pictures whose [CLS] starts anew before the layer that methods read


def perception_batch(
    step: int, *, steps: int, seed: int, tokens: int, native: int = GRID
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(B, H, W, 3) uint8 of one size, and labels."""
    rows, cols = canvas(step, steps, seed, native)
    count = batch_size(tokens, rows * cols)
    first = first_upload(step, seed)
    scenes = [
        draw_scene(training_seed(first + i), rows * PATCH, shape=(rows, cols)) for i in range(count)
    ]
    truths = [perception.labels(scene, rows, cols) for scene in scenes]
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
        used, last = perception.states(self.tower, pixels(pictures), RESET)
        value, shown = perception.loss(self.heads[0], used, truth)
        extra, _ = perception.loss(self.heads[1], last, truth)
        return value + 0.3 * extra, {"tokens": truth["owner"].shape[1]} | shown


def train_encoder(options: argparse.Namespace) -> bool:
    perceiver = Perceiver(options.seed)
    if options.begin:
        begin_tower(perceiver.tower, _saved(options.begin).model.vision_tower)
    steps = options.encoder_steps or ENCODER_STEPS[options.device]
    tokens = ENCODER_TOKENS[options.device]
    return fit(
        perceiver,
        partial(perception_batch, steps=steps, seed=options.seed, tokens=tokens),
        perceiver.loss,
        steps=steps,
        rate=ENCODER_RATE[options.device],
        folder=options.work,
        name="encoder",
        machine=machine_of(options),
        first=options.first_step,
    )


def student_of(options: argparse.Namespace) -> answering.Student:
    """The model as it begins: `--begin`'s, and the encoder trained in `--work` if there is one."""
    tokenizer, encoder = make_tokenizer(), options.work / "encoder.pt"
    model = untrained(tokenizer, options.seed)
    if options.begin:
        begin_from(model, tokenizer, _saved(options.begin), _words(options.begin))
    if encoder.exists() or not options.begin:
        perceiver = Perceiver(options.seed)
        perceiver.load_state_dict(weights_in(encoder))
        model.model.vision_tower.load_state_dict(perceiver.tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    return answering.Student(model, answer_steps(options))


def answer_steps(options: argparse.Namespace) -> int:
    return int(options.answer_steps or ANSWER_STEPS[options.device])


def train_answers(options: argparse.Namespace) -> bool:
    student, steps = student_of(options), answer_steps(options)
    rows = ANSWER_ROWS[options.device]
    return fit(
        student,
        partial(answering.batch, steps=steps, seed=options.seed, rows=rows),
        student.loss,
        steps=steps,
        rate=ANSWER_RATE[options.device],
        folder=options.work,
        name="answers",
        machine=machine_of(options),
        first=options.first_step,
    )


def save_model(options: argparse.Namespace) -> bool:
    """The model as far as it is trained, in `--out`."""
    student, answers = student_of(options), options.work / "answers.pt"
    if answers.exists():
        student.load_state_dict(weights_in(answers))
    save(student.model, make_tokenizer(), options.out)
    return True


def _saved(folder: Path) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def _words(folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(folder)


STAGES = {"encoder": train_encoder, "answers": train_answers, "save": save_model}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-image")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "embedded" / "image")
    parser.add_argument("--begin", type=Path, help="go on from the model saved in this folder")
    parser.add_argument("--encoder-steps", type=int)
    parser.add_argument("--answer-steps", type=int)
    parser.add_argument("--first-step", type=int, default=0, help="of a model that is half trained")
    parser.add_argument("--seed", type=int, default=0)
    add_machine(parser)
    run_stages(parser, STAGES)


if __name__ == "__main__":
    main()
