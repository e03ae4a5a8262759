"""A training that is under way can be kept in a folder, and judged from there."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from models.embedded import build, judge
from models.embedded.growing import begin_from
from models.embedded.tokenizer import make_tokenizer
from models.embedded.training.answering import Student
from models.embedded.training.image import Perceiver
from models.embedded.training.keep import MOST_BYTES, keep

pytestmark = pytest.mark.slow  # of the training alone


def checkpoint(module, path, step):
    torch.save({"module": module.state_dict(), "step": step, "seconds": 9.0}, path)


def close(ours, theirs):
    return all(torch.allclose(weight, theirs[name], atol=2e-3) for name, weight in ours.items())


def test_what_is_kept_is_the_last_stage_and_a_training_can_begin_from_it(tmp_path):
    work, out, tokenizer = tmp_path / "work", tmp_path / "out", make_tokenizer()
    work.mkdir()
    perceiver, student = Perceiver(seed=1), Student(build.untrained(tokenizer, seed=2), 10)
    checkpoint(perceiver, work / "encoder.pt", 5)
    (work / "encoder.jsonl").write_text('{"step": 0}\n')
    keep("image", work, out)
    kept = LlavaForConditionalGeneration.from_pretrained(out, dtype=torch.float32)
    assert close(perceiver.tower.state_dict(), kept.model.vision_tower.state_dict())
    checkpoint(student, work / "answers.pt", 7)
    assert keep("image", work, out) < MOST_BYTES
    kept = LlavaForConditionalGeneration.from_pretrained(out, dtype=torch.float32)
    assert close(student.model.state_dict(), kept.state_dict())
    progress = json.loads((out / "progress.json").read_text())
    assert progress["answers"]["step"] == 7 and (out / "logs" / "encoder.jsonl").exists()
    begun = build.untrained(tokenizer, seed=3)
    begin_from(begun, tokenizer, kept, AutoTokenizer.from_pretrained(out))
    assert close(begun.state_dict(), kept.state_dict())


def test_a_folder_without_a_checkpoint_replaces_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-video"):
        keep("video", tmp_path / "work", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_in_a_folder_is_asked_for_a_box_and_another_thing_about_each_scene(tmp_path):
    tokenizer = make_tokenizer()
    build.save(build.untrained(tokenizer, seed=2), tokenizer, tmp_path)
    asked = list(judge.cases("image", 2, judge.FIRST, "plain"))
    assert [question.box is not None for _, question in asked] == [True, False] * 2
    shares = judge.judge(tmp_path, "image", asked, "vanilla", None)
    assert set(shares) == {"boxes", "words", *(question.sort for _, question in asked)}
    assert all(0 <= share <= 1 for share in shares.values())
