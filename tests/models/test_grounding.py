"""Boxes in answers: what counts as one, where it lies, how it is compared."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from models.grounding import iou, parse_boxes, to_picture
from models.llava import pad_to_square
from tests.tiny import picture, tiny_llava

WHOLE = (0.0, 0.0, 1.0, 1.0)


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
