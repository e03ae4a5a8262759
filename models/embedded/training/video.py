"""Train the embedded video model: `python -m models.embedded.training.video all`, or one stage.

It begins from the picture model in `--begin`. Every stage is seeded, keeps a checkpoint and a log
in `--work`, and goes on from there when it is started again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from models.embedded import build_video
from models.embedded.build import pixels
from models.embedded.build_video import begin_from, begin_tower, video_tokenizer
from models.embedded.training import perception, watching
from models.embedded.training.fit import fit, run_stages, weights_in
from models.embedded.training.image import ROOT, perception_batch


class Seer(torch.nn.Module):
    """The encoder with the head that teaches it."""

    def __init__(self, pictures: LlavaForConditionalGeneration, seed: int) -> None:
        super().__init__()
        model = build_video.untrained(video_tokenizer(), seed)
        begin_tower(model, pictures)
        self.tower = model.model.vision_tower
        self.head = perception.Heads(self.tower.config.hidden_size)

    def loss(self, batch: tuple, step: int) -> tuple[torch.Tensor, dict]:
        pictures, truth = batch
        return perception.loss(
            self.head, watching.rolled_states(self.tower, pixels(pictures)), truth
        )


def picture_model(options: argparse.Namespace) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(options.begin, dtype=torch.float32)


def train_encoder(options: argparse.Namespace) -> None:
    seer = Seer(picture_model(options), options.seed)
    fit(
        seer,
        partial(perception_batch, size=2 * options.batch, seed=options.seed + 50),
        seer.loss,
        steps=options.encoder_steps,
        rate=1e-3,
        folder=options.work,
        device=options.device,
        workers=options.workers,
        name="encoder",
    )


def watcher_of(options: argparse.Namespace) -> watching.Watcher:
    """The model as it begins, behind the encoder as it was trained."""
    tokenizer, pictures = video_tokenizer(), picture_model(options)
    model = build_video.untrained(tokenizer, options.seed)
    begin_from(model, tokenizer, pictures, AutoTokenizer.from_pretrained(options.begin))
    seer = Seer(pictures, options.seed)
    seer.load_state_dict(weights_in(options.work / "encoder.pt"))
    model.model.vision_tower.load_state_dict(seer.tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    return watching.Watcher(model, tokenizer, options.answer_steps)


def train_answers(options: argparse.Namespace) -> None:
    watcher = watcher_of(options)
    fit(
        watcher,
        partial(watching.batch, size=options.batch, seed=options.seed),
        watcher.loss,
        steps=options.answer_steps,
        rate=1.5e-3,
        folder=options.work,
        device=options.device,
        workers=options.workers,
        name="answers",
    )


def save(options: argparse.Namespace) -> None:
    watcher = watcher_of(options)
    watcher.load_state_dict(weights_in(options.work / "answers.pt"))
    build_video.save(watcher.model, video_tokenizer(), options.out)


STAGES = {"encoder": train_encoder, "answers": train_answers, "save": save}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--begin", type=Path, default=ROOT / "assets" / "embedded" / "image")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "train-video")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "embedded" / "video")
    parser.add_argument("--encoder-steps", type=int, default=400)
    parser.add_argument("--answer-steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    run_stages(parser, STAGES)


if __name__ == "__main__":
    main()
