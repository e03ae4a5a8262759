"""Which questions an embedded model was trained on: every one it is asked, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.catalog import find
from models.embedded.build_video import video_tokenizer
from models.embedded.tokenizer import make_tokenizer
from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import draw_clip
from models.embedded.world.scenes import draw_scene
from models.embedded.world.scope import CLIPS, PICTURES, Scope, essentials

IMAGE, VIDEO = find("embedded-image"), find("embedded-video")
SMALL = 16  # pixels: what is asked does not depend on them


@pytest.mark.parametrize(
    ("card", "module", "draw", "boxes", "least"),
    [
        (IMAGE, questions, lambda seed: draw_scene(seed, SMALL), {}, 1_000),
        (VIDEO, clip_questions, lambda seed: draw_clip(seed, 2, SMALL), {"boxes": 0.5}, 200),
    ],
    ids=["image", "video"],
)
def test_every_question_asked_in_training_and_evaluation_is_inside(
    card, module, draw, boxes, least
):
    asked = [question.text for _, question in module.evaluation_questions(100, pixels=SMALL)]
    for seed in range(200):
        rng = np.random.default_rng(seed)
        asked += [one.text for one in module.questions(draw(seed), rng, count=20, **boxes)]
    assert len(set(asked)) > least
    assert [text for text in asked if card.note_on(text)] == []


@pytest.mark.parametrize("scope", [PICTURES, CLIPS])
def test_every_question_that_a_note_offers_is_inside(scope: Scope):
    *offered, last = scope.can_answer.split(" · ")
    offered.append(last.partition("?")[0])
    assert len(offered) >= 5
    assert [question for question in offered if scope.note("It", question)] == []


@pytest.mark.parametrize(
    "question",
    [
        "WHERE IS THE RED CAR",
        "  where   is a red car ?  ",
        "Where is red car.",
        "Is there an umbrella?",
        "Is the large blue cat on the left, or on the right?",
        "What color is the small house at the top?",
    ],
)
def test_capitals_punctuation_articles_and_spaces_do_not_matter(question: str):
    assert IMAGE.note_on(question) == ""


OUTSIDE = {
    "embedded-image": [
        ("What is the mood of this picture?", "the word “mood”."),
        ("Where is the dog?", "the word “dog”."),
        ("Where is the pink car?", "the word “pink”."),
        ("Where is the tiny pink car?", "the words “tiny” and “pink”."),
        ("Why?", "the word “why”."),
        ("What's on the left?", "the word “what's”."),
        ("Quel animal est noir?", "the words “quel”, “animal”, “est” and “noir”."),
        ("One two red three four five six", "“one”, “two”, “three”, “four” and others."),
        ("Is there a car? Is there a cat?", "this form"),
        ("Where is the car red?", "this form"),
        ("Where is the medium car?", "the word “medium”."),
        ("Where are the cars?", "this form"),
        ("How many red stars are there?", "this form"),
        ("Is there a large car?", "this form"),
        ("What colour is the red cat?", "this form"),
        ("What is in the picture?", "this form"),
        ("car", "this form"),
    ],
    "embedded-video": [
        ("Is there a key?", "the word “there”."),
        ("Where is the cat?", "this form"),
        ("Which way does the dog move?", "the word “dog”."),
        ("What colour does the red star become?", "this form"),
        ("What happens last?", "this form"),
    ],
}


@pytest.mark.parametrize(
    ("name", "question", "reason"),
    [(name, *one) for name, asked in OUTSIDE.items() for one in asked],
)
def test_a_question_never_asked_is_outside_and_the_reason_is_named(
    name: str, question: str, reason: str
):
    card, module = (IMAGE, questions) if name == IMAGE.name else (VIDEO, clip_questions)
    first, second, *_ = card.note_on(question).splitlines()
    assert first.startswith(f"{card.title} was not trained on this question") and reason in first
    assert second == f"It can answer: {module.CAN_ANSWER}"


@pytest.mark.parametrize(
    ("scope", "make"),
    [(PICTURES, make_tokenizer), (CLIPS, video_tokenizer)],
    ids=["image", "video"],
)
def test_a_word_is_known_just_when_the_tokenizer_knows_it(scope: Scope, make):
    tokenizer = make()
    words = essentials("mood dog pink why what is there where appear appears red stars enter 3 9")
    words += sorted(PICTURES.known() | CLIPS.known())
    for word in words:
        (_, *pieces) = tokenizer(f" {word}").input_ids
        begins = tokenizer(word).input_ids[1:]  # a question's first word has no space before it
        known = any(tokenizer.unk_token_id not in ids for ids in (pieces, begins))
        assert known == (word in scope.known()), word


def test_a_model_whose_card_has_no_scope_gets_no_note():
    assert replace(IMAGE, scope=None).note_on("What is the mood of this picture?") == ""
