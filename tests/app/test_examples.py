"""The examples: what is drawn is what the index says, and the page knows it again."""

import json

import numpy as np
import pytest

from app import request
from app.docs import examples
from app.jobs import read_job
from app.request import Request
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


def test_a_clip_lasts_as_long_as_its_world_says_and_holds_every_frame(drawn):
    clip = read_media(drawn[1]["file"], 64)
    assert clip.frames.shape == (examples.DRAWN_FRAMES, 96, 96, 3), "square, as it was drawn"
    assert clip.times[-1] == pytest.approx(examples.SECONDS, rel=0.05)


def test_every_example_has_questions_of_which_each_answer_is_known(drawn, monkeypatch):
    monkeypatch.setattr(request, "examples", lambda: tuple(drawn))
    for entry in drawn:
        assert len(entry["questions"]) >= 3
        for known in entry["questions"]:
            truth = read_job(Request(upload=entry["file"], question=known["question"])).truth
            assert truth.answer == known["answer"] != ""
            assert (truth.box is None) == (known["box"] is None)


def test_where_something_is_at_the_end_is_true_of_the_last_frame_that_is_sampled(drawn):
    seen = read_media(drawn[1]["file"], drawn[1]["frames"]).frames
    played = read_media(drawn[1]["file"], 64).frames
    assert np.array_equal(seen[-1], played[-1])
    assert any(known["box"] for known in drawn[1]["questions"])


def test_the_seeds_are_of_scenes_that_no_training_draws():
    for seed in (*examples.SEEDS, *examples.CLIP_SEEDS):
        assert examples.evaluation_seed(seed) == seed
