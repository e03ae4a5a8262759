"""The drawn world is true: boxes fit the pixels, answers are right, seeds never meet."""

import numpy as np
import pytest

from models.embedded.tokenizer import make_tokenizer
from models.embedded.world.questions import evaluation_questions, questions
from models.embedded.world.scenes import draw_scene, evaluation_seed, training_seed
from models.embedded.world.sprites import COLOURS, KINDS
from tests.models.naming import meant


def drawn_box(scene, index):
    """Of the pixels that show a thing, as shares of the picture."""
    rows, cols = np.nonzero(scene.owner == index)
    side = len(scene.owner)
    return cols.min() / side, rows.min() / side, (cols.max() + 1) / side, (rows.max() + 1) / side


@pytest.mark.parametrize("seed", range(12))
def test_a_box_is_tight_around_the_pixels_it_names(seed):
    scene = draw_scene(seed, pixels=240)
    for index, thing in enumerate(scene.things):
        covered = any(
            other is not thing
            and min(thing.box[2], other.box[2]) > max(thing.box[0], other.box[0])
            and min(thing.box[3], other.box[3]) > max(thing.box[1], other.box[1])
            for other in scene.things
        )
        if not covered:
            assert np.allclose(drawn_box(scene, index), thing.box, atol=2 / 240 + 1e-6)


def test_the_same_seed_gives_the_same_scene_at_any_size():
    small, large = draw_scene(5), draw_scene(5, pixels=480)
    assert small.things == large.things
    assert np.array_equal(draw_scene(5).picture, small.picture)


def test_training_never_draws_a_scene_that_evaluation_may_draw():
    assert training_seed(0) > evaluation_seed(999_999)
    with pytest.raises(ValueError, match="wanted 0 to 999,999"):
        evaluation_seed(1_000_000)


def test_there_are_at_least_24_kinds_and_8_colours():
    assert len(KINDS) >= 24 and len(COLOURS) >= 8


def test_a_grounding_question_means_one_thing_only():
    for seed in range(60):
        scene = draw_scene(seed)
        for question in questions(scene, np.random.default_rng(seed)):
            if question.box is None:
                continue
            words = set(question.text.rstrip("?.").split())
            plain = not words & {"left", "right", "top", "bottom"}
            alike = meant(scene, words)
            assert question.box in [thing.box for thing in alike]
            assert len(alike) == 1 or not plain


def test_a_count_is_the_number_of_such_things():
    for seed in range(60):
        scene = draw_scene(seed)
        for question in questions(scene, np.random.default_rng(seed)):
            if question.sort == "counting" and "objects are" in question.text:
                colours = set(question.text.split()) & set(COLOURS)
                true = sum(not colours or thing.colour in colours for thing in scene.things)
                assert question.answer == str(true)


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
