"""Boxes in answers: parsing, conversion to the picture, and IoU."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from models.catalog import CATALOG
from models.embedded.world import clip_questions
from models.embedded.world.questions import GROUNDING
from models.families.llava import LlavaAdapter, pad_to_square
from models.grounding import FORMATS, WHOLE, iou, parse_boxes, to_picture
from tests.tiny import picture, tiny_llava


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("[0.1, 0.2, 0.3, 0.4]", [[0.1, 0.2, 0.3, 0.4]]),
        ("It is at [0,0.25,1,1.0].", [[0, 0.25, 1, 1]]),
        (
            "[ 0.1 ,0.2, 0.3 ,0.4 ] and [0.5, 0.5, 0.6, 0.6]",
            [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.6, 0.6]],
        ),
        ("[[0.1, 0.2, 0.3, 0.4]]", [[0.1, 0.2, 0.3, 0.4]]),
        ("", []),
        ("no box", []),
        ("[0.1, 0.2, 0.3", []),
        ("[0.1, 0.2, 0.3, 0.4", []),
        ("0.1, 0.2, 0.3, 0.4", []),
        ("[0.1 0.2 0.3 0.4]", []),
        ("(0.1, 0.2, 0.3, 0.4)", []),
        ("[.1, .2, .3, .4]", []),
        ("[0.1, 0.2, 0.3, 0.4, 0.5]", []),
        ("[-0.1, 0.2, 0.3, 0.4]", []),
        ("[120, 30, 200, 80]", []),
        ("[0.1, 0.2, 0.3, nan]", []),
        ("[" + "9" * 400 + ", 0, 1, 1]", []),
    ],
)
def test_only_four_fractions_in_brackets_are_a_box(text: str, boxes: list) -> None:
    parsed = parse_boxes(text)
    assert parsed.shape == (len(boxes), 4)
    assert np.allclose(parsed, np.reshape(boxes, (-1, 4)))


def test_boxes_come_back_to_the_picture_that_was_padded() -> None:
    _, region = pad_to_square(Image.new("RGB", (80, 40)), [0.5] * 3)
    assert region == (0.0, -0.5, 1.0, 1.5)
    placed = to_picture(np.array([[0.25, 0.25, 0.75, 0.5], [0.0, 0.0, 1.0, 1.0]]), region)
    assert np.allclose(placed, [[0.25, 0.0, 0.75, 0.5], WHOLE])


def test_boxes_that_are_empty_or_in_the_padding_are_left_out() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.6], [0.6, 0.5, 0.4, 0.6], [0.1, 0.0, 0.9, 0.2]])
    assert to_picture(boxes, (0.0, -0.5, 1.0, 1.5)).shape == (0, 4)


def test_an_adapter_reads_boxes_in_its_own_frame() -> None:
    adapter = tiny_llava()
    prompt = adapter.prepare(picture(height=40, width=80), "Where?")
    assert np.allclose(adapter.boxes(prompt, "[0.5, 0.5, 1.0, 1.0]"), [[0.5, 0.5, 1.0, 1.0]])
    assert np.allclose(adapter.boxes(prompt, "[0.0, 0.25, 0.5, 0.5]"), [[0.0, 0.0, 0.5, 0.5]])


def test_cells_reach_beyond_the_picture_where_there_is_padding() -> None:
    layout = tiny_llava().prepare(picture(height=40, width=80), "Where?").layout
    assert layout.box[0].tolist() == pytest.approx([0, -0.5, 1 / 6, -0.5 + 2 / 6])
    assert layout.box[-1].tolist() == pytest.approx([5 / 6, 1.5 - 2 / 6, 1, 1.5])


def test_iou_counts_shared_area_once() -> None:
    box = np.array([0.0, 0.0, 0.5, 0.5])
    others = np.array([box, [0.25, 0.0, 0.75, 0.5], [0.5, 0.5, 1, 1], [0.2, 0.2, 0.2, 0.2]])
    assert iou(box, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert iou(box, np.zeros((0, 4))).shape == (0,)
    assert iou(np.zeros(4), np.zeros((1, 4))).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("[10, 20, 30, 40]", [[10, 20, 30, 40]]),
        ('```json\n[{"bbox_2d": [10, 20, 30, 40], "label": "car"}]\n```', [[10, 20, 30, 40]]),
        ('{"bbox_2d": [10,20,30,40]}', [[10, 20, 30, 40]]),
        ('Here [one] is: [{"bbox_2d": [ 10 , 20,30, 40 ]}]', [[10, 20, 30, 40]]),
        ("[10, 20, 30, 40] or [1, 2, 3, 4]", [[10, 20, 30, 40], [1, 2, 3, 4]]),
        ('[{"bbox_2d": [10, 20, 30, 40], "lab', [[10, 20, 30, 40]]),
        ('[{"bbox_2d": [10, 20, 30, 40]}, {"bbox_2d": [1, 2,', [[10, 20, 30, 40]]),
        ('[{"bbox_2d": [10, 20, 30]}, {"bbox_2d": [1, 2, 3, 4]}]', [[1, 2, 3, 4]]),
        ('[{"bbox_2d": ["a", 20, 30, 40]}]', []),
        ("the car(10,20),(30,40)", [[10, 20, 30, 40]]),
        ("[10.5, 20, 30, 40]", []),
        ("[-10, 20, 30, 40]", []),
        ("[[10, 20], [30, 40]]", []),
        ("(10,20) and (30,40)", []),
        ("10, 20, 30, 40", []),
        ("[10, 20, 30, 40, 50]", []),
        ("", []),
    ],
)
@pytest.mark.parametrize("name", ["pixels", "thousand"])
def test_every_four_whole_numbers_in_brackets_are_a_box(name: str, text: str, boxes: list) -> None:
    parsed = FORMATS[name].parse(text)
    assert parsed.shape == (len(boxes), 4)
    assert parsed.tolist() == boxes


EXPRESSION = "The red car"
ENDS = {
    "padded": "the region this sentence describes: The red car",
    "plain": "the region this sentence describes: The red car",
    "pixels": "Locate red car in this image and output the bbox coordinates in JSON format.",
    "thousand": "Locate red car in this image and output the bbox coordinates in JSON format.",
    "scene": "Locate the red car.",
    "clip": "Locate the red car at the end.",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_its_own_prompt(name: str) -> None:
    assert FORMATS[name].question(f" {EXPRESSION} ").endswith(ENDS[name])


@pytest.mark.parametrize("expression", ["red car", "the red car", "A red car", "an  red car"])
def test_an_article_is_neither_doubled_nor_missed(expression: str) -> None:
    assert FORMATS["scene"].question(expression) == "Locate the red car."


def test_braces_in_an_expression_are_kept() -> None:
    assert FORMATS["pixels"].question("{0} {").startswith("Locate {0} { in this image")


def test_only_a_whole_word_is_removed_as_an_article() -> None:
    assert FORMATS["scene"].question("anchor") == "Locate the anchor."


def test_every_card_names_a_format() -> None:
    assert {card.grounding for card in CATALOG} <= set(FORMATS)


def test_the_prompts_of_embedded_models_are_in_their_training() -> None:
    trained = {*GROUNDING, *clip_questions.END}
    questions = {FORMATS[name].question("{0}").lower() for name in ("scene", "clip")}
    assert questions <= trained


WIDE = (0.0, -0.5, 1.0, 1.5)  # a picture twice as wide as high, padded to a square
SIZE = (420, 840)  # height and width that a model saw
ANSWERS = {  # all of them mean the right half of the lower half
    "padded": "[0.5, 0.5, 1.0, 0.75]",
    "plain": "[0.5, 0.5, 1.0, 1.0]",
    "scene": "[0.50, 0.50, 1.00, 0.75]",
    "clip": "[0.50, 0.50, 1.00, 1.00]",
    "pixels": '[{"bbox_2d": [420, 210, 840, 420], "label": "car"}]',
    "thousand": '[{"bbox_2d": [500, 500, 1000, 1000], "label": "car"}]',
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_box_comes_back_to_the_picture_from_every_format(name: str) -> None:
    boxes = FORMATS[name].boxes(ANSWERS[name], WIDE, SIZE)
    assert np.allclose(boxes, [[0.5, 0.5, 1, 1]])


@pytest.mark.parametrize("name", FORMATS)
def test_a_box_that_is_written_and_read_is_where_it_was(name: str) -> None:
    form, rng = FORMATS[name], np.random.default_rng(0)
    region = WIDE if form.padded else WHOLE
    height, width = SIZE if form.full is None else (form.full, form.full)
    corners = rng.uniform([0, 0, 0.6, 0.6], [0.4, 0.4, 1, 1], (20, 4))
    left, top, right, bottom = region
    seen = (corners - [left, top, left, top]) / ([right - left, bottom - top] * 2)
    written = seen * [width, height, width, height]
    digits = 2 if form.full == 1 else 0
    answer = " ".join(f"[{', '.join(f'{n:.{digits}f}' for n in box)}]" for box in written)
    half = 0.5 * 10.0**-digits * np.array([right - left, bottom - top] * 2)  # of the last digit
    error = np.abs(form.boxes(answer, WIDE, SIZE) - corners)
    assert (error <= half / [width, height, width, height] + 1e-6).all()


def test_boxes_are_clipped_to_the_picture() -> None:
    assert FORMATS["thousand"].boxes("[900, 0, 1001, 4000]").tolist() == pytest.approx(
        np.array([[0.9, 0, 1, 1]])
    )
    assert not len(FORMATS["thousand"].boxes("[1001, 0, 1200, 500]"))
    assert np.allclose(FORMATS["pixels"].boxes("[420, 0, 9999, 420]", WIDE, SIZE), [[0.5, 0, 1, 1]])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("padded", "[0.7, 0.5, 0.3, 0.6]"),
        ("pixels", "[300, 20, 100, 40]"),
        ("thousand", "[300, 200, 400, 100]"),
    ],
)
def test_corners_the_wrong_way_round_enclose_nothing(name: str, answer: str) -> None:
    assert FORMATS[name].boxes(answer, WIDE, SIZE).shape == (0, 4)


def test_llava_can_be_scored_without_padding_as_some_benchmarks_do() -> None:
    tiny, media = tiny_llava(), picture(height=40, width=80)
    plain = LlavaAdapter(tiny.model, tiny.tokenizer, tiny.processor, grounding=FORMATS["plain"])
    prompt = plain.prepare(media, "Where?")
    assert np.allclose(plain.boxes(prompt, "[0.0, 0.25, 0.5, 0.5]"), [[0.0, 0.25, 0.5, 0.5]])
