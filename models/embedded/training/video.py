"""Train the embedded video model: `python -m models.embedded.training.video all`.

Begins from the picture model in `--begin`, or continues with the video model in `--go-on`. Every
stage is seeded and writes a checkpoint and a log to `--work`; started again, it continues from
there. On CUDA batches are larger.
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
from models.embedded.training.command import ROOT, Stage, run_stages
from models.embedded.training.fit import weights_in
from models.embedded.training.image import perception_batch

RATE = {"cpu": 1.4e-3, "cuda": 1.5e-3}
ENCODER = Stage(
    "encoder",
    rate=RATE,
    rows={"cpu": 3_000, "cuda": 74_000},
    steps={"cpu": 400, "cuda": 600},
)
ANSWERS = Stage(
    "answers",
    rate=RATE,
    rows={"cpu": 6_000, "cuda": 80_000},
    steps={"cpu": 3_000, "cuda": 3_000},
)


class Seer(torch.nn.Module):
    """The encoder and the head that trains it."""

    def __init__(self, model: LlavaOnevisionForConditionalGeneration) -> None:
        super().__init__()
        self.tower = model.model.vision_tower
        self.head = perception.Heads(self.tower.config.hidden_size)

    def loss(self, batch: tuple, step: int) -> tuple[torch.Tensor, dict]:
        pictures, truth = batch
        return perception.loss(self.head, watching.states(self.tower, pixels(pictures)), truth)


def model_of(options: argparse.Namespace) -> LlavaOnevisionForConditionalGeneration:
    """The model before its first step: that of `--go-on`, else parts of the picture model."""
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
    batch = partial(perception_batch, native=GRID)
    return ENCODER.train(Seer(model_of(options)), batch, options, seed=options.seed + 50)


def watcher_of(options: argparse.Namespace) -> watching.Watcher:
    """The model before its first step, with the encoder of `--work` if trained."""
    model, encoder = model_of(options), options.work / "encoder.pt"
    if encoder.exists():
        seer = Seer(model)
        seer.load_state_dict(weights_in(encoder))
    model.model.vision_tower.requires_grad_(False)
    return watching.Watcher(model, ANSWERS.num_steps(options))


def train_answers(options: argparse.Namespace) -> bool:
    return ANSWERS.train(watcher_of(options), watching.batch, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--begin", type=Path, default=ROOT / "assets" / "embedded" / "image")
    parser.add_argument("--go-on", type=Path, help="a video model kept in a folder")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-video")
    run_stages(parser, {"encoder": train_encoder, "answers": train_answers})


if __name__ == "__main__":
    main()
