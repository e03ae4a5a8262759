"""The hard splits change what they say and nothing else, and each question has one right answer."""

from functools import cache, partial

import numpy as np
import pytest

from models.embedded.tokenizer import make_tokenizer
from models.embedded.world import clip_questions, hard, questions
from models.embedded.world.clips import LONGEST, draw_clip
from models.embedded.world.hard import SPLITS, find_split, hard_clip, hard_scene
from models.embedded.world.relations import RELATIONS
from models.embedded.world.scenes import (
    MAX_OBJECTS,
    SHAPE,
    SIZES,
    covered,
    draw_scene,
    training_seed,
)
from models.embedded.world.sprites import COLOURS, KINDS
from tests.models.naming import meant

SEEDS, CLIP_SEEDS = range(15), range(6)
each_split = pytest.mark.parametrize("split", SPLITS)


@cache
def scenes(split):
    return [hard_scene(SPLITS[split], seed) for seed in SEEDS]


@cache
def clips(split):
    return [hard_clip(SPLITS[split], seed) for seed in CLIP_SEEDS]


@cache
def asked(split):
    draw = partial(hard_scene, SPLITS[split])
    return list(questions.evaluation_questions(len(SEEDS), draw=draw))


@cache
def asked_of_clips(split):
    draw = partial(hard_clip, SPLITS[split])
    return list(clip_questions.evaluation_questions(len(CLIP_SEEDS), draw=draw))


def test_the_plain_split_is_what_training_draws():
    for seed, scene in zip(SEEDS, scenes("plain"), strict=True):
        assert np.array_equal(scene.picture, draw_scene(seed).picture)
    for seed, clip in zip(CLIP_SEEDS, clips("plain"), strict=True):
        assert np.array_equal(clip.frames, draw_clip(seed).frames)


@each_split
def test_the_same_seed_gives_the_same_and_a_training_seed_is_refused(split):
    again = hard_scene(SPLITS[split], SEEDS[-1])
    assert np.array_equal(again.picture, scenes(split)[-1].picture)
    for draw in (hard_scene, hard_clip):
        with pytest.raises(ValueError, match="wanted 0 to 999,999"):
            draw(SPLITS[split], training_seed(0))


def test_clutter_changes_the_background_alone():
    pairs = list(zip(scenes("plain"), scenes("clutter"), strict=True))
    for plain, cluttered in zip(clips("plain"), clips("clutter"), strict=True):
        assert plain.actors == cluttered.actors and plain.cut == cluttered.cut
        pairs += zip(plain.scenes, cluttered.scenes, strict=True)
    for plain, cluttered in pairs:
        changed = np.abs(plain.picture.astype(int) - cluttered.picture).max(-1) > 0
        assert plain.things == cluttered.things and np.array_equal(plain.owner, cluttered.owner)
        assert changed[plain.owner < 0].mean() > 0.05
        inside = plain.owner >= 0
        for axis in (0, 1):  # a pixel at an object's edge shows some of the background
            inside &= (np.roll(inside, 1, axis) & np.roll(inside, -1, axis)) > 0
        assert (
            not inside.any() or changed[inside].mean() < 0.05
        )  # seams inside an object are a little transparent


def test_the_sizes_are_none_that_training_draws():
    def longest(box):  # in cells
        return SHAPE[0] * max(box[2] - box[0], box[3] - box[1])

    drawn = [longest(thing.box) for scene in scenes("sizes") for thing in scene.things]
    assert not [side for side in drawn for low, high in SIZES.values() if low <= side <= high]
    first = [max(actor.sides) for clip in clips("sizes") for actor in clip.actors]
    assert not [side for side in first for low, high in LONGEST.values() if low <= side <= high]
    for found, trained in ((drawn, SIZES), (first, LONGEST)):
        lows, highs = zip(*trained.values(), strict=True)
        assert min(found) < min(lows) and max(found) > max(highs)


@pytest.mark.parametrize("split", ["crowd", "hard"])
def test_a_crowd_is_more_than_training_draws_and_hardly_covers_itself(split):
    for scene in scenes(split):
        boxes = [thing.box for thing in scene.things]
        assert MAX_OBJECTS < 10 <= len(boxes) <= 12
        assert all(covered(a, b) <= 0.1 for a in boxes for b in boxes if a is not b)
    assert {len(clip.actors) for clip in clips(split)} == {5, 6}


@pytest.mark.parametrize("split", ["alike", "hard"])
def test_every_object_has_both_look_alikes(split):
    groups = [scene.things for scene in scenes(split)]
    groups += [clip.actors for clip in clips("alike")]  # five actors leave one without
    for group in groups:
        for one in group:
            assert any(o.kind == one.kind and o.colour != one.colour for o in group)
            assert any(o.kind != one.kind and o.colour == one.colour for o in group)


@each_split
def test_a_box_that_is_asked_for_belongs_to_one_thing(split):
    boxed = [(scene, question) for scene, question in paired(split) if question.box is not None]
    assert len(boxed) >= len(SEEDS) - 1
    for scene, question in boxed:
        if any(f" {how} the " in question.text for how in RELATIONS):
            continue  # test_world has these
        words = set(question.text.rstrip("?.").split())
        alike = meant(scene, words)
        assert question.box in [thing.box for thing in alike]
        assert len(alike) == 1 or words & {"left", "right", "top", "bottom"}


def paired(split):
    """Each scene with each of its questions; its picture tells which it is."""
    by_picture = {scene.picture.tobytes(): scene for scene in scenes(split)}
    return [(by_picture[picture.tobytes()], question) for picture, question in asked(split)]


@each_split
def test_an_actor_that_is_asked_about_is_the_only_one_so_called(split):
    for clip, question in asked_of_clips(split):
        if question.sort not in ("motion", "end", "becomes"):
            continue
        words = question.text.rstrip("?.").split()
        kind = next(word for word in words if word in KINDS)
        colour = next((word for word in words if word in COLOURS), "")
        meant = [
            actor
            for actor in clip.actors
            if actor.kind == kind
            and colour in ("", actor.colour, actor.later if actor.turn <= 1 else "")
        ]
        assert [clip.actors.index(actor) for actor in meant] == list(question.subjects)


@each_split
def test_a_count_is_true_and_has_a_word(split):
    for scene, question in paired(split):
        if question.sort == "counting":
            words = question.text.split()
            counted = [
                thing
                for thing in scene.things
                if {thing.colour, questions.plural(thing.kind), "objects"} & set(words)
                and (not set(words) & set(COLOURS) or thing.colour in words)
            ]
            assert question.answer == str(len(counted)) and len(counted) <= MAX_OBJECTS


@each_split
def test_the_tokenizers_know_every_word(split):
    for tokenizer, told in (
        (make_tokenizer(), asked(split)),
        (make_tokenizer(), asked_of_clips(split)),
    ):
        for _, question in told:
            for text in (question.text, question.answer):
                assert tokenizer.unk_token_id not in tokenizer(text).input_ids, text


@each_split
def test_every_split_is_asked_every_sort_of_question(split):
    sorts = {question.sort for _, question in asked(split)}
    missing = {"grounding", *(ask.__name__ for ask in questions.OTHERS)} - sorts
    assert missing <= {"place", "relation", "reading"}, "few things in a crowd stand apart"


def test_look_alikes_in_clips_are_asked_about_by_their_colour():
    told = [q for _, q in asked_of_clips("alike") if q.sort in ("motion", "end", "becomes")]
    assert told and all(set(q.text.rstrip("?.").split()) & set(COLOURS) for q in told)


def test_clutter_is_smaller_than_any_object():
    ranges = (*hard.UNSEEN_SIZES.values(), *hard.UNSEEN_ACTORS.values())
    least = min(low / (SHAPE[0] if low > 1 else 1) for low, _ in ranges)
    margin = 1.3  # of a clip's background over its frame
    assert margin * hard.SHAPE_SIDE[1] < 0.6 * least


def test_a_split_that_is_none_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'harder'; there is plain, sizes, crowd, clutter, alike"):
        find_split("harder")
