"""The pixels of overlays and boxes agree with the trace."""

import numpy as np
import pytest
from PIL import Image

from app.render.boxes import draw_boxes
from app.render.canvas import Canvas
from app.render.overlay import badges, fate_counts, legend, overlay
from app.render.palette import SURVIVOR_COLOURS, lane_colours, survivor_colours
from pruning.tokens import TokenLayout
from pruning.trace import Fate, TokenTrace
from tests.app import factory

SIZE = 480


def cell(picture: Image.Image, trace: TokenTrace, frame: np.ndarray, token: int) -> np.ndarray:
    """The inner pixels of a token's cell, (n, 3)."""
    canvas = Canvas.over(frame, trace.layout, SIZE)
    left, top, right, bottom = canvas.pixels(trace.layout.box[token : token + 1])[0]
    return (
        np.asarray(picture)[top + 3 : bottom - 3, left + 3 : right - 3].reshape(-1, 3).astype(float)
    )


def grey_frame() -> np.ndarray:
    return np.full((480, 480, 3), 140, dtype=np.uint8)


def test_dropped_cells_are_darker_than_kept_ones_and_kept_ones_are_the_picture():
    frame = grey_frame()
    trace = factory.fastv_trace(factory.picture(480, 480))
    picture = overlay(frame, trace, size=SIZE)
    kept, dropped = (np.flatnonzero(trace.fate == fate) for fate in (Fate.KEPT, Fate.DROPPED))
    assert all((cell(picture, trace, frame, token) == 140).mean() > 0.9 for token in kept)
    assert all(cell(picture, trace, frame, token).mean() < 90 for token in dropped)
    assert cell(picture, trace, frame, dropped[0]).std() > 5  # hatched, not only dim


def test_a_merged_cell_carries_the_tint_of_its_survivor():
    frame = grey_frame()
    trace = factory.pooling_trace()
    picture = overlay(frame, trace, size=SIZE)
    colours = survivor_colours(trace)
    for token in np.flatnonzero(trace.fate == Fate.MERGED)[::7]:
        towards = SURVIVOR_COLOURS[colours[trace.survivor[token]]].astype(float) - 140
        seen = np.median(cell(picture, trace, frame, token), axis=0) - 140
        alike = seen @ towards / (np.linalg.norm(seen) * np.linalg.norm(towards))
        assert alike > 0.98


def test_the_same_record_gives_the_same_picture():
    frame = factory.picture()
    one, other = (overlay(frame, factory.nuwa_trace(frame), size=SIZE) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_padding_that_the_model_saw_extends_the_canvas():
    frame = factory.picture()
    trace = factory.nuwa_trace(frame, factory.square_region())
    picture = overlay(frame, trace, size=SIZE)
    assert picture.size == (480, 480)
    assert overlay(frame, factory.nuwa_trace(frame), size=SIZE).size == (480, 360)
    boxes = draw_boxes(frame, np.zeros((0, 4)), size=SIZE, layout=trace.layout)
    assert boxes.size == picture.size
    assert (np.asarray(boxes)[:59] == 128).all()


def test_what_the_model_did_not_see_is_faded():
    frame = factory.picture()
    trace = factory.vanilla_trace(TokenLayout.regular(1, 24, 24, (0.125, 0, 0.875, 1)))
    picture = np.asarray(overlay(frame, trace, size=SIZE)).astype(int)
    plain = np.asarray(Canvas.over(frame, trace.layout, SIZE).paint(frame)).astype(int)
    changed = np.abs(picture - plain).sum(axis=2) > 12
    assert changed[:, :55].mean() > 0.9 > 0.4 > changed[:, 70:400].mean()


@pytest.mark.parametrize("name", ["pooling", "nuwa", "visionzip"])
def test_neighbouring_survivors_never_share_a_colour(name):
    frame = factory.picture()
    trace = {
        "pooling": factory.pooling_trace,
        "nuwa": lambda: factory.nuwa_trace(frame),
        "visionzip": lambda: factory.visionzip_trace(frame),
    }[name]()
    trace = TokenTrace(trace.layout, trace.steps[:1], trace.num_layers)
    survivor = trace.survivor[trace.layout.placed].reshape(24, 24)
    colours = survivor_colours(trace)
    groups = np.isin(np.arange(len(trace)), trace.survivor[trace.fate == Fate.MERGED])
    for one, other in ((survivor[:, 1:], survivor[:, :-1]), (survivor[1:], survivor[:-1])):
        touching = (one != other) & (one >= 0) & (other >= 0) & groups[one] & groups[other]
        assert touching.any()
        assert (colours[one] != colours[other])[touching].all()


def test_a_token_has_one_colour_at_every_layer_and_in_every_frame():
    video = factory.video_trace()
    colours = survivor_colours(video)
    frames = [np.asarray(overlay(grey_frame(), video, index, size=SIZE)) for index in (1, 2, 3)]
    assert all(
        (frame == frames[0]).all() for frame in frames
    )  # the trees run straight through time
    assert (colours[:64] >= 0).all() and (colours[64:] == -1).all()
    frame = grey_frame()
    trace = factory.nuwa_trace(factory.picture(480, 480))
    early, late = overlay(frame, trace, size=SIZE, layer=3), overlay(frame, trace, size=SIZE)
    for token in np.flatnonzero(trace.fate == Fate.MERGED):
        one, two = (np.median(cell(p, trace, frame, token), axis=0) for p in (early, late))
        assert np.abs(one - two).max() < 3


def test_survivor_colours_can_be_told_apart_without_red_or_green():
    to_linear = (SURVIVOR_COLOURS / 255.0) ** 2.2
    deutan = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = np.clip(to_linear @ deutan.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(len(seen))
    assert apart.min() > 0.09


def test_counts_add_up_and_stand_in_the_legend():
    frame = factory.picture()
    counts = fate_counts(factory.visionzip_trace(frame))
    assert counts == {"tokens": 576, "kept": 63, "merged": 513, "dropped": 0}
    words = legend(factory.nuwa_trace(frame))
    assert words.startswith("kept 16 of 576 (2.78 %)")
    assert "before LLM layer 16" in words and "unchanged (pillar)" in words


def test_tokens_without_a_place_are_named_in_the_legend():
    frame = factory.picture()
    assert badges(factory.visionzip_trace(frame)) == ["[CLS], which has no place, kept"]
    assert badges(factory.prumerge_trace(frame)) == ["1 extra token without a place"]
    assert badges(factory.pooling_trace()) == []


def test_a_trace_without_cells_on_the_frame_leaves_the_picture():
    frame = factory.picture()
    layout = TokenLayout(np.zeros(1, dtype=np.int32), np.full((1, 4), np.nan, dtype=np.float32))
    assert overlay(frame, TokenTrace(layout, (), 4), size=SIZE).size == (480, 360)


def test_smaller_cells_are_drawn_over_larger_ones():
    coarse, fine = TokenLayout.regular(1, 2, 2), TokenLayout.regular(1, 4, 4)
    layout = TokenLayout(np.zeros(20, dtype=np.int32), np.concatenate([coarse.box, fine.box]))
    step = factory.selection_step(np.arange(4), 20)  # the coarse view survives, the fine does not
    picture = overlay(grey_frame(), TokenTrace(layout, (step,), 4), size=SIZE)
    assert np.asarray(picture).mean() < 90


def test_boxes_are_clipped_to_the_frame_and_invalid_ones_are_left_out():
    frame = grey_frame()
    plain = draw_boxes(frame, np.zeros((0, 4)), size=SIZE)
    bad = np.array([[np.nan, 0, 1, 1], [0.5, 0.5, 0.5, 0.9], [0.9, 0.1, 0.2, 0.4]])
    assert draw_boxes(frame, bad, size=SIZE).tobytes() == plain.tobytes()
    drawn = np.asarray(
        draw_boxes(frame, np.array([[0.25, 0.25, 7.0, 0.75]]), None, "#CC3311", size=SIZE)
    )
    assert (drawn[240, 120] == [0xCC, 0x33, 0x11]).all() and (drawn[:100] == 140).all()


def test_the_true_box_is_dashed_in_black_and_white():
    drawn = np.asarray(
        draw_boxes(grey_frame(), np.zeros((0, 4)), (0.25, 0.25, 0.75, 0.75), size=SIZE)
    )
    line = drawn[120, 120:360]
    assert {tuple(pixel) for pixel in line.tolist()} == {(0, 0, 0), (255, 255, 255)}


def test_vanilla_is_grey_and_lanes_differ():
    colours = lane_colours(["nuwa", "vanilla", "nuwa", "fastv"])
    assert colours[1] == "#777777" and len(set(colours)) == 4


def test_a_legend_without_merged_tokens_has_no_survivor():
    assert "survivor" not in legend(factory.vanilla_trace())


def test_a_kept_cell_has_a_solid_outline_and_a_group_of_merged_ones_a_dotted_one():
    frame = grey_frame()
    kept = TokenTrace(TokenLayout.regular(1, 24, 24), (factory.selection_step([300], 576),), 4)
    row, column = divmod(300, 24)
    white = (np.asarray(overlay(frame, kept, size=SIZE)) == 255).all(axis=2)
    assert white[row * 20, column * 20 : column * 20 + 20].all()
    assert white.sum() == 4 * 19  # and nothing else is
    pooled = (np.asarray(overlay(frame, factory.pooling_trace(), size=SIZE)) == 255).all(axis=2)
    border = pooled[60, 63:117]  # the top of a group of 3 × 3 cells
    assert 0.3 < border.mean() < 0.7 and not pooled[80, 63:79].any()
