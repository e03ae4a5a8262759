"""Trees: one survivor and its members over the frames, in one colour."""

import numpy as np
import pytest
from PIL import ImageColor

from app.render.palette import SURVIVOR_COLOURS, survivor_colours
from app.render.sheet import Sheet
from app.render.tree_sheet import describe_tree, draw_tree, frames_of
from app.render.trees import largest_trees, tree_of, tree_on, tree_on_change
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import clips, factory

WIDTH = 700


def inner(picture, media, trace, survivor, tokens):
    """(M, n, 3) the upper part of each token's cell, where nothing is printed."""
    sheet = Sheet.over(media, trace.layout, WIDTH, frames_of(trace, survivor))
    cells = sheet.cells(trace.layout.frame[tokens], trace.layout.box[tokens])
    pixels = np.asarray(picture).astype(float)
    return [pixels[top + 5 : top + 10, left + 5 : left + 15] for left, top, *_ in cells.tolist()]


def test_a_tree_has_the_members_and_weights_of_the_trace():
    trace = clips.trace()
    found = tree_of(trace, clips.BALL)
    assert np.array_equal(found.members, clips.PATH)
    assert np.array_equal(found.weights, trace.weights_of(clips.BALL)[clips.PATH])
    assert found.frames.tolist() == [1, 2, 3, 4, 5] and found.span == (1, 5)
    assert found.shares.sum() == pytest.approx(1)


def test_the_largest_trees_come_first_and_a_single_token_is_no_tree():
    found = largest_trees(clips.trace())
    assert [(one.survivor, len(one)) for one in found] == [(clips.WALL, 36), (clips.BALL, 5)]
    assert len(largest_trees(clips.trace(), most=1)) == 1
    assert largest_trees(factory.vanilla_trace()) == []


def test_the_tree_on_a_box_stands_for_most_of_the_box_and_little_else():
    trace = clips.trace()
    ball = tuple(clips.LAYOUT.box[clips.PATH[3]].tolist())  # in the fifth frame
    wall = (0.0, 0.0, 1.0, 0.25)
    assert tree_on(trace, 4, ball).survivor == clips.BALL
    assert tree_on(trace, 4, wall).survivor == clips.WALL
    assert tree_on(trace, 4, (0.0, 0.9, 0.1, 1.0)) is None, "all tokens there were dropped"
    alone = TokenTrace(clips.LAYOUT, (), 8)
    assert len(tree_on(alone, 4, ball)) == 1, "a kept token stands for itself"


def test_the_tree_on_what_changes_in_a_clip_is_never_that_of_the_still_background():
    trace, frames = clips.trace(), clips.grey().frames.copy()
    assert tree_on_change(trace, frames) is None, "nothing changes"
    rows, cols = frames.shape[1] // clips.ROWS, frames.shape[2] // clips.COLS
    for token in clips.PATH:
        frame, place = divmod(int(token), clips.PER_FRAME)
        row, col = divmod(place, clips.COLS)
        frames[frame, row * rows : (row + 1) * rows, col * cols : (col + 1) * cols] = 255
    assert tree_on_change(trace, frames).survivor == clips.BALL
    assert largest_trees(trace)[0].survivor == clips.WALL


def test_a_tree_dropped_inside_the_llm_exists_before_that_layer():
    trace = clips.trace(inner=True)
    assert [one.survivor for one in largest_trees(trace)] == [clips.WALL]
    before = largest_trees(trace, layer=0)
    assert [one.survivor for one in before] == [clips.WALL, clips.BALL]
    with pytest.raises(ValueError, match=f"Token {clips.BALL} stands for no token at the end"):
        tree_of(trace, clips.BALL)


@pytest.mark.parametrize("token", [-1, 7, clips.PATH[1]])
def test_a_token_that_is_no_survivor_is_refused(token):
    with pytest.raises(ValueError, match="choose a survivor"):
        tree_of(clips.trace(), int(token))


def test_members_have_the_colour_of_the_tree_and_all_else_is_dim():
    media, trace = clips.grey(), clips.trace()
    picture = draw_tree(media, trace, clips.BALL, width=WIDTH)
    towards = np.array(ImageColor.getrgb(tree_of(trace, clips.BALL).colour)) - 140.0
    for cell in inner(picture, media, trace, clips.BALL, clips.PATH[1:]):
        seen = np.median(cell.reshape(-1, 3), axis=0) - 140
        assert seen @ towards / np.linalg.norm(seen) / np.linalg.norm(towards) > 0.98
    placed = np.isin(clips.LAYOUT.frame, frames_of(trace, clips.BALL))
    others = np.setdiff1d(np.flatnonzero(placed), clips.PATH)[::3]
    cells = inner(picture, media, trace, clips.BALL, others)
    dim = [np.median(cell, axis=(0, 1)) for cell in cells]
    assert np.median(dim, axis=0).max() < 70 and np.max(np.median(dim, axis=1)) < 140


def test_a_heavier_member_has_the_stronger_tint():
    media = clips.grey()
    step = TraceStep(
        0, clips.N, np.array([0]), np.zeros(3, dtype=int), np.array([0, 30, 60]),
        np.array([0.2, 0.7, 0.1], dtype=np.float32),
    )  # fmt: skip
    trace = TokenTrace(clips.LAYOUT, (step,), 8)
    picture = draw_tree(media, trace, 0, width=WIDTH)
    heavy, light = (
        np.abs(np.median(cell, axis=(0, 1)) - 140).max()
        for cell in inner(picture, media, trace, 0, np.array([30, 60]))
    )
    assert heavy > 2 * light > 0


def test_a_tree_has_one_colour_in_picture_tree_and_table():
    trace = clips.trace(inner=True)
    colour = SURVIVOR_COLOURS[survivor_colours(trace)[clips.BALL]]
    assert ImageColor.getrgb(tree_of(trace, clips.BALL, layer=0).colour) == tuple(colour)


def test_two_trees_in_one_place_one_after_the_other_differ_in_colour():
    layout = TokenLayout.regular(4, 2, 2)
    owner = np.repeat([0, 1], 8)  # all of two frames, then all of the next two
    step = factory.merge_step(np.array([0, 8]), owner)
    colours = survivor_colours(TokenTrace(layout, (step,), 8))
    assert colours[0] != colours[8]


def test_the_path_of_a_tree_continues_in_the_next_row():
    media, trace = clips.grey(), clips.trace()
    sheet = Sheet.over(media, trace.layout, 390, frames_of(trace, clips.BALL))
    assert sheet.columns == 3  # frames 2 to 4, then 5 and 6 below them
    edge = np.asarray(draw_tree(media, trace, clips.BALL, width=390))
    cells = sheet.cells(clips.LAYOUT.frame[clips.PATH], clips.LAYOUT.box[clips.PATH])
    colour = ImageColor.getrgb(tree_of(trace, clips.BALL).colour)
    for member, column in ((2, -1), (3, 0)):  # out on the right, in on the left
        middle = (cells[member, 1] + cells[member, 3]) // 2
        assert (edge[middle - 3 : middle + 3, column] == colour).all(axis=1).any()


def test_a_sheet_of_a_tree_has_only_the_frames_with_its_tokens():
    media, trace = clips.grey(), clips.trace()
    assert frames_of(trace, clips.BALL) == (1, 2, 3, 4, 5)
    sheet = Sheet.over(media, trace.layout, WIDTH, frames_of(trace, clips.BALL))
    assert draw_tree(media, trace, clips.BALL, width=WIDTH).size == sheet.size
    cell = sheet.cells(np.array([4]), np.array([[0.0, 0.0, 1.0, 1.0]]))[0]
    middle = (cell[:2] + cell[2:]) / 2 / sheet.size
    assert sheet.frame_at(*middle) == pytest.approx((4, 0.5, 0.5), abs=0.01)


def test_a_token_without_a_place_in_a_tree_is_counted_but_not_drawn():
    layout = TokenLayout.regular(2, 2, 2, placeless=1)
    step = factory.merge_step(np.array([1]), np.array([0, 0, 0, -1, -1, 0, -1, -1, -1]))
    trace = TokenTrace(layout, (step,), 8)
    assert len(tree_of(trace, 1)) == 4
    assert draw_tree(clips.grey(2), trace, 1).size == Sheet.over(clips.grey(2), layout, 1440).size


def test_the_description_has_the_number_of_tokens_and_frames():
    media, trace = clips.grey(), clips.trace()
    ball = "The survivor at 0.50 s stands for 5 tokens of 5 frames, from 0.50 s to 2.50 s"
    assert describe_tree(media, trace, clips.BALL) == ball
    lone = describe_tree(media, trace, clips.N - 1)
    assert lone == "The survivor at 2.50 s stands for 1 token of the frame at 2.50 s"
