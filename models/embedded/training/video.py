"""Train the embedded video model: `python -m models.embedded.training.video all`.

It begins from the picture model in `--begin`, or goes on from the video model in `--go-on`. Every
stage is seeded, keeps a checkpoint and a log in `--work`, and goes on from there when it is started
again. On CUDA batches are larger.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    LlavaForConditionalGeneration,
    LlavaOnevisionForConditionalGeneration,
)

from models.embedded import build_video
from models.embedded.build import pixels
from models.embedded.build_video import GRID, begin_from
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import perception, watching
from models.embedded.training.command import ROOT, add_machine, machine_of, run_stages
from models.embedded.training.fit import fit, weights_in
from models.embedded.training.image import perception_batch

RATE = {"cpu": 1.4e-3, "cuda": 1.5e-3}
ENCODER_TOKENS = {"cpu": 3_000, "cuda": 74_000}  # of a batch
ANSWER_ROWS = {"cpu": 6_000, "cuda": 80_000}
ENCODER_STEPS = {"cpu": 400, "cuda": 600}
ANSWER_STEPS = {"cpu": 3_000, "cuda": 3_000}


class Seer(torch.nn.Module):
    """The encoder with the head that teaches it."""

    def __init__(self, model: LlavaOnevisionForConditionalGeneration) -> None:
        super().__init__()
        self.tower = model.model.vision_tower
        self.head = perception.Heads(self.tower.config.hidden_size)

    def loss(self, batch: tuple, step: int) -> tuple[torch.Tensor, dict]:
        pictures, truth = batch
        return perception.loss(self.head, watching.states(self.tower, pixels(pictures)), truth)


def model_of(options: argparse.Namespace) -> LlavaOnevisionForConditionalGeneration:
    """As it begins: the video model in `--go-on`, else the picture model's parts."""
    if options.go_on:
        return LlavaOnevisionForConditionalGeneration.from_pretrained(
            options.go_on, dtype=torch.float32
        )
    tokenizer = make_tokenizer()
    model = build_video.untrained(tokenizer, options.seed)
    pictures = LlavaForConditionalGeneration.from_pretrained(options.begin, dtype=torch.float32)
    begin_from(model, tokenizer, pictures, AutoTokenizer.from_pretrained(options.begin))
    return model


def train_encoder(options: argparse.Namespace) -> bool:
    seer, seed = Seer(model_of(options)), options.seed + 50
    steps = options.encoder_steps or ENCODER_STEPS[options.device]
    tokens = ENCODER_TOKENS[options.device]
    return fit(
        seer,
        partial(perception_batch, steps=steps, seed=seed, tokens=tokens, native=GRID),
        seer.loss,
        steps=steps,
        rate=RATE[options.device],
        folder=options.work,
        name="encoder",
        machine=machine_of(options),
        first=options.first_step,
    )


def watcher_of(options: argparse.Namespace) -> watching.Watcher:
    """The model as it begins, with the encoder as it was trained."""
    model, encoder = model_of(options), options.work / "encoder.pt"
    if encoder.exists():
        seer = Seer(model)
        seer.load_state_dict(weights_in(encoder))
    model.model.vision_tower.requires_grad_(False)
    return watching.Watcher(model, answer_steps(options))


def answer_steps(options: argparse.Namespace) -> int:
    return int(options.answer_steps or ANSWER_STEPS[options.device])


def train_answers(options: argparse.Namespace) -> bool:
    watcher, steps = watcher_of(options), answer_steps(options)
    rows = ANSWER_ROWS[options.device]
    return fit(
        watcher,
        partial(watching.batch, steps=steps, seed=options.seed, rows=rows),
        watcher.loss,
        steps=steps,
        rate=RATE[options.device],
        folder=options.work,
        name="answers",
        machine=machine_of(options),
        first=options.first_step,
    )


def save(options: argparse.Namespace) -> bool:
    """The model as far as it is trained, in `--out`."""
    watcher, answers = watcher_of(options), options.work / "answers.pt"
    if answers.exists():
        watcher.load_state_dict(weights_in(answers))
    build_video.save(watcher.model, make_tokenizer(), options.out)
    return True


STAGES = {"encoder": train_encoder, "answers": train_answers, "save": save}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--begin", type=Path, default=ROOT / "assets" / "embedded" / "image")
    parser.add_argument("--go-on", type=Path, help="a video model kept in a folder")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-video")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "embedded" / "video")
    parser.add_argument("--encoder-steps", type=int)
    parser.add_argument("--answer-steps", type=int)
    parser.add_argument("--first-step", type=int, default=0, help="of a model that is half trained")
    parser.add_argument("--seed", type=int, default=0)
    add_machine(parser)
    run_stages(parser, STAGES)


if __name__ == "__main__":
    main()
