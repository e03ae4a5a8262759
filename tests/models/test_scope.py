"""Which questions an embedded model was trained on: every one it is asked, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.catalog import find
from models.embedded.tokenizer import SYSTEM, make_tokenizer
from models.embedded.world import clip_questions, questions
from models.embedded.world.clips import draw_clip
from models.embedded.world.scenes import draw_scene
from models.embedded.world.scope import CLIPS, PICTURES, Scope, essentials

IMAGE = replace(find("embedded-image"), scope=PICTURES)
VIDEO = replace(find("embedded-video"), scope=CLIPS)
SMALL = 24  # pixels: what is asked does not depend on them


def test_every_question_asked_of_pictures_is_inside():
    asked = [question.text for _, question in questions.evaluation_questions(100, pixels=SMALL)]
    for seed in range(60):
        scene, rng = draw_scene(seed, SMALL), np.random.default_rng(seed)
        asked += [question.text for question in questions.questions(scene, rng, count=20)]
    assert len(set(asked)) > 1_000
    assert [text for text in asked if IMAGE.note_on(text)] == []


def test_every_question_asked_of_clips_is_inside():
    asked = [
        question.text for _, question in clip_questions.evaluation_questions(100, pixels=SMALL)
    ]
    for seed in range(60):
        clip, rng = draw_clip(seed, 2, SMALL), np.random.default_rng(seed)
        asked += [q.text for q in clip_questions.questions(clip, rng, count=20, boxes=0.5)]
    assert len(set(asked)) > 200
    assert [text for text in asked if VIDEO.note_on(text)] == []


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
        "Where is the cup left of the red key?",
        "Find the pink dog above the sign.",
        "What is right of the brown cat?",
        "What does the small sign at the top say?",
        "What is in the background?",
        "What color is the small house at the top?",
    ],
)
def test_capitals_punctuation_articles_and_spaces_do_not_matter(question: str):
    assert IMAGE.note_on(question) == ""


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What is the mood of this picture?", "the word “mood”."),
        ("Where is the cow?", "the word “cow”."),
        ("Where is the grey car?", "the word “grey”."),
        ("Where is the tiny grey car?", "the words “tiny” and “grey”."),
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
        ("What does the car say?", "this form"),
        ("Where is the small cup left of the key?", "this form"),
        ("What is left of the small key?", "this form"),
        ("car", "this form"),
    ],
)
def test_what_pictures_were_never_asked_is_outside_and_the_reason_is_named(
    question: str, reason: str
):
    note = IMAGE.note_on(question)
    assert note.startswith("The answers are guesses: Drawn-scenes model")
    assert reason in note.splitlines()[0]
    assert note.splitlines()[1] == f"It can answer: {questions.CAN_ANSWER}"


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Is there a key?", "the word “there”."),
        ("Where is the cat?", "this form"),
        ("Which way does the cow move?", "the word “cow”."),
        ("What colour does the red star become?", "this form"),
        ("What happens last?", "this form"),
        ("What happens after the car?", "this form"),
        ("What happens after the red car vanishes?", "this form"),
    ],
)
def test_what_clips_were_never_asked_is_outside_and_the_reason_is_named(question: str, reason: str):
    note = VIDEO.note_on(question)
    assert "Drawn-clips model" in note and reason in note.splitlines()[0]
    assert clip_questions.CAN_ANSWER in note


def test_a_word_is_known_just_when_the_tokenizer_knows_it():
    """Both models have one tokenizer, so it knows the words of both scopes and no other."""
    tokenizer, known = make_tokenizer(), PICTURES.known() | CLIPS.known()
    before_the_upload = {word for text in SYSTEM for word in essentials(text)}
    words = essentials("mood cow grey why when what is there where appear red stars enter 3 23")
    for word in [*words, *sorted(known)]:
        (_, *pieces) = tokenizer(f" {word}").input_ids
        begins = tokenizer(word).input_ids[1:]  # a question's first word has no space before it
        told = any(tokenizer.unk_token_id not in ids for ids in (pieces, begins))
        assert told == (word in known or word in before_the_upload), word


def test_questions_of_order_are_inside_of_clips_alone():
    for question in (
        "What happens after the car vanishes?",
        "What happens just before the star turns pink?",
        "What does the cat do after the car moves left?",
        "After the bus appears, what does the dog do?",
        "Which object appears before the star turns red?",
    ):
        assert VIDEO.note_on(question) == "" and IMAGE.note_on(question)


def test_a_model_whose_card_has_no_scope_gets_no_note():
    assert replace(IMAGE, scope=None).note_on("What is the mood of this picture?") == ""
