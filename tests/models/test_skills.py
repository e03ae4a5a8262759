"""Questions by skill: they are of their skill, their answers are right, none is trained for."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from models.embedded.tokenizer import make_tokenizer
from models.embedded.world.questions import OTHERS, vocabulary
from models.embedded.world.scenes import Scene, Thing
from models.embedded.world.skills import SKILLS, skill_questions, viewpoint


@pytest.fixture(scope="module")
def by_skill():
    found = defaultdict(list)
    for _, question in skill_questions(24, pixels=48):
        found[question.sort].append(question)
    return found


def test_every_skill_is_asked_about_many_scenes(by_skill):
    assert by_skill.keys() == SKILLS.keys()
    assert all(len(asked) > 2 for asked in by_skill.values())


def test_a_question_of_size_names_one_and_one_of_relative_place_a_relation(by_skill):
    assert all({"small", "large"} & set(one.text.split()) for one in by_skill["size"])
    ways = ("left of the", "right of the", "above the", "below the")
    assert all(any(way in one.text for way in ways) for one in by_skill["relative place"])
    assert not any(any(way in one.text for way in ways) for one in by_skill["absolute place"])


def test_the_view_of_an_animal_that_faces_us_is_mirrored():
    asked, blank = 0, np.zeros((48, 48, 3), dtype=np.uint8)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        corners = rng.random((2, 2)) * 0.8
        things = tuple(
            Thing(kind, "red", "small", (x, y, x + 0.2, y + 0.2))
            for kind, (x, y) in zip(("cat", "key"), corners, strict=True)
        )
        scene = Scene(blank, things, blank[..., 0].astype(np.int8), "sky")
        if (question := viewpoint(scene, rng)) is None:
            continue
        cat, key = things
        assert "cat's view, is the" in question.text and "key" in question.text
        assert question.answer == ("right" if key.centre[0] < cat.centre[0] else "left")
        asked += 1
    assert asked > 10


def test_training_asks_no_question_of_viewpoint_and_its_words_are_unknown():
    assert viewpoint not in OTHERS
    assert not any("view" in template.split() for template in vocabulary())
    tokenizer = make_tokenizer()
    assert (
        tokenizer.unk_token_id
        in tokenizer("from the cat's view", add_special_tokens=False)["input_ids"]
    )
