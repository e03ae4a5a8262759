"""What the embedded models are taught is what is true, and a stopped run goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from models.embedded.build import GRID
from models.embedded.build_video import untrained, video_tokenizer
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import answering, perception, watching
from models.embedded.training.fit import fit
from models.embedded.training.packing import mask, packed
from models.embedded.world.clip_questions import questions as clip_questions
from models.embedded.world.clips import draw_clip
from models.embedded.world.questions import questions
from models.embedded.world.scenes import draw_scene


def test_a_question_points_at_the_tokens_of_the_thing_it_is_about():
    for seed in range(12):
        scene, owner = draw_scene(seed), perception.owners(draw_scene(seed), GRID)
        asked = questions(scene, np.random.default_rng(seed), count=8)
        row = packed(make_tokenizer(), asked, owner, 1.0, length=200)
        for number in row["asked"].nonzero().flatten().tolist():
            question = asked[number]
            shown = {int(owner[token]) for token in row["about"][number].nonzero().flatten()}
            assert shown <= set(question.subjects)
            if question.box:
                (target,) = question.subjects
                assert scene.things[target].box == question.box
            if question.sort == "existence":
                assert bool(question.subjects) == (question.answer == "yes")


def test_a_question_about_a_clip_points_at_its_actor_in_every_frame_that_shows_it():
    for seed in range(12):
        clip = draw_clip(seed)
        owner = watching.so_far(clip)["owner"].view(len(clip.scenes), -1)
        for question in clip_questions(clip, np.random.default_rng(seed), 8, 0.5):
            if question.sort == "end":
                (target,) = question.subjects
                for time, cells in zip(clip.times, owner, strict=True):
                    in_sight = clip.actors[target].at(time) is not None
                    assert in_sight or target not in cells


def test_each_question_sees_the_upload_and_itself_only():
    number = torch.tensor([[0, 0, 1, 1, -1]])
    seen = mask(number, head=2, dtype=torch.float32)[0, 0] == 0  # (7, 7)
    assert seen[:, :2].tril().sum() == seen[:, :2].sum() and seen[2:, :2].all()
    assert seen[3, 2] and not seen[4, 2] and not seen[4, 3] and seen[5, 4]
    assert not seen.triu(1).any()


def test_every_row_that_is_scored_predicts_the_next_id_of_its_own_answer():
    batch = answering.batch(0, size=2, seed=9)
    for row in range(2):
        scored = (batch["weight"][row] > 0).nonzero().flatten()
        ids, target = batch["ids"][row], batch["target"][row]
        inner = scored[:-1][batch["question"][row][scored[:-1] + 1] >= 0]
        assert len(inner) > 5
        assert (ids[inner + 1] == target[inner]).all()


def test_one_step_of_watching_moves_every_part_but_the_encoder():
    torch.manual_seed(0)
    tokenizer = video_tokenizer()
    model = untrained(tokenizer, seed=0)
    model.model.vision_tower.requires_grad_(False)
    watcher = watching.Watcher(model, tokenizer, steps=10)
    value, _ = watcher.loss(watching.batch(0, size=1, seed=0), step=0)
    value.backward()
    still = [name for name, p in watcher.named_parameters() if p.requires_grad and p.grad is None]
    assert not still
    assert all(p.grad is None for p in model.model.vision_tower.parameters())


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


def test_a_stopped_run_ends_where_an_unbroken_one_does(tmp_path):
    def run(folder: str, breaks: int | None = None) -> torch.Tensor:
        line = Line()

        def loss(batch: torch.Tensor, step: int) -> tuple[torch.Tensor, dict]:
            if step == breaks:
                raise KeyboardInterrupt
            return ((line.only(batch).float() - 1) ** 2).sum(), {}

        fit(
            line,
            lambda step: torch.full((3,), float(step % 4)),
            loss,
            steps=20,
            rate=1e-2,
            folder=tmp_path / folder,
            name="line",
            workers=0,
            save_every=5,
        )
        return line.only.weight.detach()

    with pytest.raises(KeyboardInterrupt):
        run("broken", breaks=12)
    assert torch.equal(run("broken"), run("whole"))
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken" / "line.jsonl").open()]
    assert steps == [0, 10, 10, 19]
