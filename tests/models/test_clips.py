"""Drawn clips are true: what is said of them is what the frames show."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from models.embedded.tokenizer import make_tokenizer
from models.embedded.training import watching
from models.embedded.world.clip_questions import (
    ANSWERS,
    OTHERS,
    WAYS,
    evaluation_questions,
    questions,
    way,
)
from models.embedded.world.clips import APART, FRAMES, MAX_ACTORS, PIXELS, draw_clip
from models.embedded.world.events import describe, events
from models.embedded.world.sprites import COLOURS

SEEDS = range(20)


def test_the_same_seed_gives_the_same_clip_at_any_length_and_size():
    short, long = draw_clip(7, frames=8), draw_clip(7, frames=15, pixels=192)
    assert draw_clip(7).frames.shape == (FRAMES, PIXELS, PIXELS, 3)
    assert short.actors == long.actors and short.cut == long.cut
    assert short.frames.shape == (8, 128, 128, 3) and long.frames.shape == (15, 192, 192, 3)
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


@cache
def everything():
    """Many questions of many clips."""
    clips = [(seed, draw_clip(seed, pixels=64)) for seed in range(60)]
    return [
        question
        for seed, clip in clips
        for question in questions(clip, np.random.default_rng(seed), count=20, boxes=0.1)
    ]


@pytest.mark.parametrize("sort", [ask.__name__ for ask in OTHERS])
def test_every_sort_of_question_is_asked_with_more_than_one_answer(sort):
    answers = {q.answer for q in everything() if q.sort == sort}
    assert len(answers) > 1


def test_events_a_question_orders_are_apart_enough_for_eight_frames():
    for seed in SEEDS:
        clip = draw_clip(seed)
        asked = questions(clip, np.random.default_rng(seed), count=20, boxes=0.0)
        for question in asked:
            if question.sort == "last":
                times = sorted(actor.enter for actor in clip.actors if actor.enter > 0)
                assert len(times) == 1 or times[-1] - times[-2] >= APART


def ordered(clip):
    """What happens, in words and in order, each with its time."""
    return [(event.time, describe(clip, event)) for event in events(clip)]


def asked(*sorts):
    """Sixty clips, each with its questions of these sorts."""
    for seed in range(60):
        clip = draw_clip(seed, pixels=64)
        for question in questions(clip, np.random.default_rng(seed), count=20, boxes=0.0):
            if question.sort in sorts:
                yield clip, question


def test_what_happens_next_or_before_is_the_only_thing_so_near_and_apart_enough_to_be_seen():
    seen = set()
    for clip, question in asked("after", "before"):
        happened = ordered(clip)
        mark = question.text.rstrip("?").partition(f"{question.sort} the ")[2]
        words = [text for _, text in happened]
        times = {text: time for time, text in happened}
        step = 1 if question.sort == "after" else -1
        assert words[words.index(mark) + step] == question.answer
        near = [t for t in times.values() if 0 < abs(t - times[mark]) < APART]
        assert not near and abs(times[question.answer] - times[mark]) >= APART
        rivals = [t for t in times.values() if step * (t - times[mark]) > 0]
        rivals.remove(times[question.answer])
        assert all(abs(t - times[question.answer]) >= APART for t in rivals)
        seen.add(question.sort)
    assert seen == {"after", "before"}


def test_what_one_does_after_another_needs_the_order_and_is_its_first_deed_since():
    seen = 0
    for clip, question in asked("does"):
        mark_actor, actor = question.subjects
        marks = [e for e in events(clip) if describe(clip, e) in question.text]
        (mark,) = [e for e in marks if e.actor == mark_actor]
        since = [e for e in events(clip) if e.actor == actor and e.time > mark.time]
        assert since[0].what == question.answer and mark_actor != actor
        seen += 1
    assert seen > 10


def test_what_appears_before_something_is_the_only_one_that_does():
    seen = 0
    for clip, question in asked("entered"):
        mark_actor, newcomer = question.subjects
        (mark,) = [
            e
            for e in events(clip)
            if e.actor == mark_actor and question.text.endswith(f"the {describe(clip, e)}?")
        ]
        entering = [a for a in clip.actors if 0 < a.enter < mark.time]
        assert [a for a in entering if clip.actors.index(a) != mark_actor] == [
            clip.actors[newcomer]
        ]
        assert clip.actors[newcomer].kind == question.answer
        seen += 1
    assert seen > 10


def test_what_pauses_is_seen_to_stand_still_before_it_moves():
    pausing = [
        (clip, actor)
        for seed in range(60)
        for clip in [draw_clip(seed, pixels=64)]
        for actor in clip.actors
        if actor.begin > actor.enter
    ]
    assert len(pausing) > 5
    for clip, actor in pausing:
        assert actor.begin - actor.enter >= APART
        before = [
            thing.centre
            for time in clip.times
            if actor.enter <= time <= actor.begin and (thing := actor.at(time)) is not None
        ]
        assert len(before) >= 2 and np.ptp(before, axis=0).max() < 1e-9


def test_with_few_frames_only_what_they_tell_apart_is_asked():
    assert draw_clip(0, frames=4).apart > 1 / 3 > draw_clip(0, frames=16).apart == APART


def test_the_box_at_the_end_is_where_the_last_frame_shows_the_thing():
    asked = [(clip, q) for clip, q in evaluation_questions(40) if q.sort == "end"]
    assert len(asked) >= 20
    for clip, question in asked:
        boxes = [thing.box for thing in clip.scenes[-1].things]
        assert question.box in boxes


def test_the_tokenizer_knows_every_word_that_is_asked_and_answered():
    tokenizer = make_tokenizer()
    for _, question in evaluation_questions(40):
        for text in (question.text, question.answer):
            assert tokenizer.unk_token_id not in tokenizer(text).input_ids, text
    assert all(tokenizer.unk_token_id not in tokenizer(word).input_ids for word in ANSWERS)


def test_what_a_token_is_taught_is_known_by_then():
    """Direction so far is nowhere at first sight, and the true way at the last."""
    for seed in SEEDS:
        clip = draw_clip(seed)
        facts = watching.so_far(clip, 8, 8)
        first = facts["time"][: len(facts["object"]) // len(clip.scenes)]
        there = facts["object"][: len(first)]
        assert (first[there][:, 0] == WAYS.index("nowhere")).all()
        assert (first[there][:, 1:] == 0).all()
