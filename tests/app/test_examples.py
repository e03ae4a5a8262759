"""The example uploads: their index matches the files, and the page recognises them."""

import json
from pathlib import Path

import numpy as np
import pytest

from app import drawn_uploads, example_uploads
from app.docs import examples
from app.jobs import read_job
from app.request import Request
from app.settings import EXAMPLES
from models.catalog import find
from models.uploads.read import read_media


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """One picture and one clip, small, and their index."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(examples, "EXAMPLES", folder)
        patched.setattr(examples, "PIXELS", 96)
        patched.setattr(examples, "SEEDS", examples.SEEDS[:1])
        patched.setattr(examples, "CLIP_SEEDS", examples.CLIP_SEEDS[:1])
        assert [path.name for path in examples.draw()] == ["scene-1.png", "clip-1.mp4"]
    index = json.loads((folder / "examples.json").read_text())
    return [entry | {"file": str(folder / entry["file"])} for entry in index]


def test_a_clip_has_the_duration_of_the_world_and_all_frames(drawn):
    clip = read_media(drawn[1]["file"], 64)
    assert clip.frames.shape == (drawn_uploads.DRAWN_FRAMES, 96, 96, 3), "square, as it was drawn"
    assert clip.times[-1] == pytest.approx(drawn_uploads.SECONDS, rel=0.05)


def test_every_example_has_questions_with_known_answers(drawn, monkeypatch):
    monkeypatch.setattr(example_uploads, "examples", lambda: tuple(drawn))
    for entry in drawn:
        assert len(entry["questions"]) >= 3
        for known in entry["questions"]:
            truth = read_job(Request(upload=entry["file"], question=known["question"])).truth
            assert truth.answer == known["answer"] != ""
            assert (truth.box is None) == (known["box"] is None)


def test_the_last_sampled_frame_is_the_last_frame(drawn):
    seen = read_media(drawn[1]["file"], drawn[1]["frames"]).frames
    played = read_media(drawn[1]["file"], 64).frames
    assert np.array_equal(seen[-1], played[-1])
    assert any(known["box"] for known in drawn[1]["questions"])


def test_training_draws_none_of_the_seeds():
    for seed in (*examples.SEEDS, *examples.CLIP_SEEDS):
        assert drawn_uploads.evaluation_seed(seed) == seed


@pytest.mark.parametrize("kind", ["image", "video"])
def test_a_new_upload_is_recognised_with_its_true_answers(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_uploads.draw_upload, "__defaults__", (96,))
    path, entry = drawn_uploads.draw_new(kind, tmp_path)
    for known in entry["questions"]:
        job = read_job(Request(upload=path, question=known["question"]))
        assert job.drawn and job.truth.answer == known["answer"]
    assert not read_job(Request(upload=path, question="Why?")).truth


def test_photographs_have_no_true_answer_and_a_note_against_the_answers():
    for entry in example_uploads.photographs():
        for known in entry["questions"]:
            job = read_job(Request(upload=EXAMPLES / entry["file"], question=known["question"]))
            card = find(job.model)
            assert not job.drawn and job.truth is None
            assert "not drawn by this project" in card.note_on(job.question, job.drawn)
            assert "not drawn" not in card.note_on(job.question)
    sources = (EXAMPLES / "SOURCES.md").read_text()
    for path in EXAMPLES.glob("photo*.jpg"):
        (line,) = (line for line in sources.splitlines() if f"`{path.name}`" in line)
        assert line.endswith("| CC0 |")


def test_every_example_has_a_story_about_one_of_its_questions():
    for example in example_uploads.examples():
        told = example_uploads.stories()[example["file"]]
        assert told["question"] in [one["question"] for one in example["questions"]]
        assert told["says"] and (example_uploads.THUMBS / f"{Path(told['file']).stem}.jpg").exists()
