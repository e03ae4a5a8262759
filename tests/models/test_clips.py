"""Drawn clips are true: what is said of them is what the frames show."""

from itertools import pairwise

import numpy as np
import pytest

from models.embedded.build_video import video_tokenizer
from models.embedded.training import watching
from models.embedded.world.clip_questions import (
    ANSWERS,
    OTHERS,
    evaluation_questions,
    questions,
    way,
)
from models.embedded.world.clips import APART, MAX_ACTORS, draw_clip
from models.embedded.world.sprites import COLOURS

pytestmark = pytest.mark.slow

SEEDS = range(40)


def test_the_same_seed_gives_the_same_clip_at_any_length_and_size():
    short, long = draw_clip(7, frames=8), draw_clip(7, frames=15, pixels=192)
    assert short.actors == long.actors and short.cut == long.cut
    assert short.frames.shape == (8, 96, 96, 3) and long.frames.shape == (15, 192, 192, 3)
    for early, late in zip(short.scenes, long.scenes[::2], strict=True):  # the same moments
        assert early.things == late.things


def test_actors_stay_in_the_frame_and_are_of_different_kinds():
    for seed in SEEDS:
        clip = draw_clip(seed)
        kinds = [actor.kind for actor in clip.actors]
        assert 1 <= len(kinds) == len(set(kinds)) <= MAX_ACTORS
        for scene in clip.scenes:
            for thing in scene.things:
                assert min(thing.box) >= 0 and max(thing.box) <= 1


def test_a_thing_has_the_colour_it_is_said_to_have():
    for seed in SEEDS:
        clip = draw_clip(seed)
        for scene in clip.scenes:
            for index, thing in enumerate(scene.things):
                shown = scene.picture[scene.owner == index].astype(float)
                if len(shown) > 60:
                    nearest = np.linalg.norm(shown - COLOURS[thing.colour], axis=1).min()
                    assert nearest < 40, (seed, thing)


def test_what_moves_is_seen_to_move_that_way():
    seen = set()
    for seed in SEEDS:
        clip = draw_clip(seed)
        for actor in clip.actors:
            centres = [t.centre for time in clip.times if (t := actor.at(time)) is not None]
            gone = np.subtract(centres[-1], centres[0])
            if np.abs(actor.way).max() > 0:
                assert way(*gone) == way(*actor.way)
            else:
                assert np.abs(gone).max() < 1e-9
            seen.add(way(*actor.way))
    assert seen == {"left", "right", "up", "down", "nowhere"}


def test_a_hard_cut_changes_the_background_at_once():
    cut = next(clip for seed in range(200) if (clip := draw_clip(seed)).cut is not None)
    bare = [np.median(scene.picture[scene.owner < 0], axis=0).astype(int) for scene in cut.scenes]
    steps = [np.abs(after - before).max() for before, after in pairwise(bare)]
    jump = next(i for i, time in enumerate(cut.times) if time >= cut.cut) - 1
    assert int(np.argmax(steps)) == jump


@pytest.mark.parametrize("sort", [ask.__name__ for ask in OTHERS])
def test_every_sort_of_question_is_asked_with_more_than_one_answer(sort):
    answers = {q.answer for _, q in evaluation_questions(60) if q.sort == sort}
    assert len(answers) > 1


def test_events_a_question_orders_are_apart_enough_for_eight_frames():
    for seed in SEEDS:
        clip = draw_clip(seed)
        asked = questions(clip, np.random.default_rng(seed), count=20, boxes=0.0)
        for question in asked:
            if question.sort == "last":
                times = sorted(actor.enter for actor in clip.actors if actor.enter > 0)
                assert len(times) == 1 or times[-1] - times[-2] >= APART


def test_the_box_at_the_end_is_where_the_last_frame_shows_the_thing():
    asked = [(clip, q) for clip, q in evaluation_questions(40) if q.sort == "end"]
    assert len(asked) >= 20
    for clip, question in asked:
        boxes = [thing.box for thing in clip.scenes[-1].things]
        assert question.box in boxes


def test_the_tokenizer_knows_every_word_that_is_asked_and_answered():
    tokenizer = video_tokenizer()
    for _, question in evaluation_questions(60):
        for text in (question.text, question.answer):
            assert tokenizer.unk_token_id not in tokenizer(text).input_ids, text
    assert all(tokenizer.unk_token_id not in tokenizer(word).input_ids for word in ANSWERS)


def test_what_a_token_is_taught_is_known_by_then():
    """Direction so far is nowhere at first sight, and the true way at the last."""
    for seed in SEEDS:
        clip = draw_clip(seed)
        facts = watching.so_far(clip)
        first = facts["facts"][: len(facts["object"]) // len(clip.scenes)]
        there = facts["object"][: len(first)]
        assert (first[there][:, 4] == 4).all()  # nowhere yet
        assert (first[there][:, 5:7] == 0).all() or any(a.turn == 0 for a in clip.actors)
