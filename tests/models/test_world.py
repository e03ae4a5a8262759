"""The drawn world is true: boxes fit the pixels, answers are right, seeds never meet."""

from itertools import combinations, cycle, islice, pairwise

import numpy as np
import pytest

from models.embedded.tokenizer import make_tokenizer
from models.embedded.world.glyphs import CHARACTERS, STROKES, TEXTS, glyph
from models.embedded.world.grounds import GROUNDS, paint_ground
from models.embedded.world.questions import evaluation_questions, questions
from models.embedded.world.relations import RELATIONS
from models.embedded.world.scenes import (
    MAX_OBJECTS,
    SHAPE,
    draw_scene,
    evaluation_seed,
    room_for,
    training_seed,
)
from models.embedded.world.sprites import COLOURS, KINDS, SIGN, letter_boxes, sprite
from tests.models.naming import meant

SHAPES = [(24, 24), (6, 6), (7, 20), (18, 9)]


def drawn_box(scene, index):
    """Of the pixels that show a thing, as shares of the picture."""
    rows, cols = np.nonzero(scene.owner == index)
    height, width = scene.owner.shape
    box = cols.min() / width, rows.min() / height, (cols.max() + 1) / width
    return *box, (rows.max() + 1) / height


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_a_box_is_tight_around_the_pixels_it_names(seed, shape):
    scene = draw_scene(seed, pixels=16 * shape[0], shape=shape)
    for index, thing in enumerate(scene.things):
        covered = any(
            other is not thing
            and min(thing.box[2], other.box[2]) > max(thing.box[0], other.box[0])
            and min(thing.box[3], other.box[3]) > max(thing.box[1], other.box[1])
            for other in scene.things
        )
        if not covered:
            off = np.abs(np.subtract(drawn_box(scene, index), thing.box))
            assert (off * np.tile([16 * shape[1], 16 * shape[0]], 2) <= 2.5).all()


def test_the_same_seed_gives_the_same_scene_at_any_resolution():
    small, large = draw_scene(5), draw_scene(5, pixels=480)
    assert small.things == large.things and small.ground == large.ground
    assert np.array_equal(draw_scene(5).picture, small.picture)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_canvas_of_any_shape_has_objects_of_three_cells_and_no_more_than_it_has_room_for(shape):
    for seed in range(20):
        scene = draw_scene(seed, 8 * shape[0], shape=shape)
        assert scene.picture.shape == (8 * shape[0], 8 * shape[1], 3)
        assert 1 <= len(scene.things) <= room_for(shape) <= MAX_OBJECTS
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert max((right - left) * shape[1], (bottom - top) * shape[0]) >= 3 - 1e-9
            assert min(thing.box) >= 0 and max(thing.box) <= 1


def test_training_never_draws_a_scene_that_evaluation_may_draw():
    assert training_seed(0) > evaluation_seed(999_999)
    with pytest.raises(ValueError, match="wanted 0 to 999,999"):
        evaluation_seed(1_000_000)


def test_there_are_at_least_40_kinds_and_10_colours():
    assert len(set(KINDS)) >= 40 and len(COLOURS) >= 10


def test_no_two_kinds_look_alike():
    """Shrunk to a small object's size and in one colour."""
    small = {
        kind: np.asarray(sprite(kind, "red", "7" if kind == SIGN else "").resize((24, 24))) / 255
        for kind in KINDS
    }
    for one, other in combinations(KINDS, 2):
        assert np.abs(small[one] - small[other]).mean() > 0.04, (one, other)


@pytest.mark.slow
def test_an_object_is_of_its_colour_more_than_of_any_other():
    colours = cycle(COLOURS)
    for kind in KINDS:
        for colour in islice(colours, 3):  # every colour is that of 14 kinds
            pixels = np.asarray(sprite(kind, colour, "go" if kind == SIGN else ""), dtype=float)
            solid = pixels[pixels[..., 3] > 250][:, :3]
            near = {name: (np.abs(solid - rgb).max(1) < 25).mean() for name, rgb in COLOURS.items()}
            near.pop("black", None) if colour != "black" else None  # outlines are dark
            assert max(near, key=near.get) == colour, (kind, colour, near)


def test_all_characters_on_signs_differ_when_they_are_as_small_as_they_are_drawn():
    drawn = {c: np.asarray(glyph(c).resize((7, 10))) / 255 for c in CHARACTERS}
    for one, other in combinations(CHARACTERS, 2):
        if {one, other} != {"0", "o"}:  # the same stroke: a word has no digit beside a letter
            assert np.abs(drawn[one] - drawn[other]).mean() > 0.05, (one, other)


def test_every_text_on_a_sign_is_drawn_letter_by_letter_within_the_sign():
    for text in TEXTS:
        assert set(text) <= set(STROKES)
        boxes = letter_boxes(text)
        assert len(boxes) == len(text)
        for left, top, right, bottom in boxes:
            assert 0 < left < right < 1 and 0 < top < bottom < 1
        for before, after in pairwise(boxes):
            assert before[2] <= after[0] + 1e-9


def test_a_sign_reads_the_same_however_it_is_flipped():
    scenes = [draw_scene(seed) for seed in range(120)]
    signs = [thing for scene in scenes for thing in scene.things if thing.kind == SIGN]
    assert len(signs) > 20 and all(sign.text in TEXTS for sign in signs)
    other = [thing for scene in scenes for thing in scene.things if thing.kind != SIGN]
    assert not any(thing.text for thing in other)


def test_every_ground_is_painted_at_any_size_and_differs_from_the_others():
    size = (48, 80)
    mean = {}
    for name in GROUNDS:
        painted = np.asarray(paint_ground(name, np.random.default_rng(3), size), dtype=float)
        assert painted.shape == (*size, 3) and painted.std() > 2
        mean[name] = painted
    for one, other in combinations(GROUNDS, 2):
        assert np.abs(mean[one] - mean[other]).mean() > 8, (one, other)


def test_a_grounding_question_means_one_thing_only():
    for seed in range(60):
        scene = draw_scene(seed)
        for question in questions(scene, np.random.default_rng(seed)):
            if question.box is None or any(f" {how} the" in question.text for how in RELATIONS):
                continue
            words = set(question.text.rstrip("?.").split())
            plain = not words & {"left", "right", "top", "bottom"}
            alike = meant(scene, words)
            assert question.box in [thing.box for thing in alike]
            assert len(alike) == 1 or not plain


def named_by(phrase, scene):
    """The things that "red cup" or "cup" may mean."""
    words = set(phrase.split())
    return [thing for thing in scene.things if {thing.kind} & words and meant(scene, words)]


def truly(scene, thing, anchor, how):
    """Whether the centre lies to that side at all."""
    x, y = np.subtract(thing.centre, anchor.centre)
    return {"left of": x < 0, "right of": x > 0, "above": y < 0, "below": y > 0}[how]


def further_along(scene, thing, anchor, how):
    """Whether it lies to that side more than it lies to another, in pixels."""
    height, width = scene.picture.shape[:2]
    x, y = np.abs(np.subtract(thing.centre, anchor.centre)) * (width, height)
    return x > y if how in ("left of", "right of") else y > x


@pytest.mark.parametrize("shape", SHAPES)
def test_a_relation_is_true_of_one_thing_only_and_clearly_so(shape):
    seen = 0
    for seed in range(80):
        scene = draw_scene(seed, 8 * shape[0], shape=shape)
        for question in questions(scene, np.random.default_rng(seed), count=20):
            how = next((how for how in RELATIONS if f" {how} the " in question.text), None)
            if how is None:
                continue
            before, _, phrase = question.text.rstrip("?.").rpartition(f" {how} the ")
            anchors = meant(scene, set(phrase.split()))
            assert len(anchors) == 1
            (target,) = (scene.things[index] for index in question.subjects)
            among = scene.things
            if question.box is not None:
                among = meant(scene, set(before.replace(":", "").split()))
            true = [
                thing
                for thing in among
                if thing is not anchors[0]
                and truly(scene, thing, anchors[0], how)
                and further_along(scene, thing, anchors[0], how)
            ]
            assert true == [target], question
            seen += 1
    assert seen > (0 if shape == (6, 6) else 10)


def test_what_a_sign_says_is_asked_of_one_sign_and_is_what_it_says():
    asked = [
        (scene, question)
        for seed in range(120)
        for scene in [draw_scene(seed)]
        for question in questions(scene, np.random.default_rng(seed), count=20)
        if question.sort == "reading"
    ]
    assert len(asked) > 20
    for scene, question in asked:
        (sign,) = (scene.things[index] for index in question.subjects)
        assert sign.kind == SIGN and question.answer == sign.text
        words = set(question.text.rstrip("?.").split())
        alike = meant(scene, words)
        assert sign in alike
        assert len(alike) == 1 or words & {"left", "right", "top", "bottom"}


def test_the_background_is_named_as_it_was_painted():
    for seed in range(40):
        scene = draw_scene(seed)
        for question in questions(scene, np.random.default_rng(seed), count=20):
            if question.sort == "background":
                assert question.answer == scene.ground


def test_a_count_is_the_number_of_such_things():
    for seed in range(60):
        scene = draw_scene(seed)
        for question in questions(scene, np.random.default_rng(seed)):
            if question.sort == "counting" and "objects are" in question.text:
                colours = set(question.text.split()) & set(COLOURS)
                true = sum(not colours or thing.colour in colours for thing in scene.things)
                assert question.answer == str(true)


def test_every_sort_of_question_is_asked():
    sorts = {question.sort for _, question in evaluation_questions(60)}
    assert sorts == {
        *("grounding", "existence", "counting", "colour", "place", "side"),
        *("relation", "reading", "background"),
    }


def test_every_answer_survives_the_tokenizer_letter_for_letter():
    tokenizer = make_tokenizer()
    for _, question in evaluation_questions(60):
        ids = tokenizer(question.answer, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids) == question.answer
        assert "".join(tokenizer.decode([token]) for token in ids) == question.answer
        asked = tokenizer(f"\n{question.text} ASSISTANT:", add_special_tokens=False).input_ids
        assert tokenizer.unk_token_id not in asked


def test_a_word_the_model_never_saw_is_tokenised_as_unknown():
    tokenizer = make_tokenizer()
    ids = tokenizer("What is the mood of this picture, señor?").input_ids
    assert tokenizer.unk_token_id in ids


def test_an_example_and_training_number_their_prompt_alike():
    tokenizer = make_tokenizer()
    content = [{"type": "image"}, {"type": "text", "text": "Where is the cat?"}]
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    image = tokenizer.convert_tokens_to_ids("<image>")
    ids = tokenizer(chat).input_ids
    trained = tokenizer("\nWhere is the cat? ASSISTANT:", add_special_tokens=False).input_ids
    assert ids[ids.index(image) + 1 :] == trained


def test_the_native_canvas_is_that_of_the_model():
    from models.embedded.build import GRID

    assert SHAPE == (GRID, GRID)
