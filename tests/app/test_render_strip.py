"""The strip: every frame with its time and counts, and the token under a click."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.render.overlay import fate_counts, overlay
from app.render.sheet import FAINT, GROUND, INK, LEAST, ZOOM, Sheet
from app.render.strip import frame_cells, strip
from app.render.trees import token_at
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import clips, factory


def test_the_counts_below_the_frames_add_up_to_the_lane():
    trace = clips.trace()
    cells = frame_cells(clips.grey(), trace)
    for fate in ("kept", "merged", "dropped"):
        assert sum(getattr(cell, fate) for cell in cells) == fate_counts(trace)[fate] > 0
    assert cells[1].lines == ("0.50 s · kept 1", "merged 6", "dropped 17")
    assert cells[1].description == "Frame 2 at 0.50 s: kept 1, merged 6, dropped 17"


def test_a_frame_of_the_strip_is_the_overlay_of_the_frame():
    media, trace = factory.clip(clips.T), clips.trace()
    for cell in frame_cells(media, trace, size=200):
        alone = overlay(media.frames[cell.frame], trace, cell.frame, size=200)
        assert cell.picture.tobytes() == alone.tobytes()


def test_the_sheet_holds_the_same_overlays():
    media, trace = factory.clip(clips.T), clips.trace()
    drawn, sheet = strip(media, trace, width=600), Sheet.over(media, trace.layout, 600)
    size = max(sheet.canvas.width, sheet.canvas.height)
    for cell in frame_cells(media, trace, size=size):
        left, top = sheet.corner(cell.frame)
        part = drawn.crop((left, top, left + cell.picture.width, top + cell.picture.height))
        assert part.tobytes() == cell.picture.tobytes()


def test_an_inner_layer_shows_what_that_layer_sees():
    media, trace = clips.grey(), clips.trace(inner=True)
    early, late = (frame_cells(media, trace, layer=layer) for layer in (0, None))
    assert early[1].kept == 1 and late[1].kept == 0
    assert early[1].picture.tobytes() != late[1].picture.tobytes()


def test_kinds_of_survivors_differ_in_shape_and_not_in_colour_alone():
    trace, token = clips.trace(), clips.PER_FRAME - 1
    step = trace.steps[0]
    swapped = replace(step, tags={"adts": step.tags["tstm"], "tstm": step.tags["adts"]})
    frame = clips.grey().frames[0]
    adts, tstm = (
        np.asarray(overlay(frame, TokenTrace(trace.layout, (one,), 32)).convert("L")).astype(int)
        for one in (step, swapped)
    )
    left, top, right, bottom = (trace.layout.box[token] * [960, 640, 960, 640]).astype(int)
    assert np.abs(adts - tstm)[top:bottom, left:right].max() > 100


def test_a_frame_encoded_with_the_one_before_is_marked():
    frame = np.repeat([0, 2], clips.PER_FRAME).astype(np.int32)
    regular = TokenLayout.regular(2, clips.ROWS, clips.COLS)
    cells = frame_cells(clips.grey(4), TokenTrace(replace(regular, frame=frame), (), 2))
    assert [cell.shared for cell in cells] == [False, True, False, True]
    assert cells[1].lines[1] == "with the frame before"


@pytest.mark.parametrize("count", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("shape", [(180, 120), (90, 160)])
def test_any_number_of_frames_fits_the_page_side_by_side(count, width, shape):
    layout = TokenLayout.regular(count, 2, 2)
    sheet = Sheet.over(clips.grey(count, *shape), layout, width)
    wide, tall = sheet.size
    assert wide <= ZOOM * width and sheet.column >= ZOOM * LEAST
    taken = np.zeros((tall, wide), dtype=int)
    for index in range(count):
        left, top = sheet.corner(index)
        assert left >= 0 and left + sheet.canvas.width <= wide
        taken[top : top + sheet.canvas.height, left : left + sheet.canvas.width] += 1
    assert taken.max() == 1 and taken.sum() == count * sheet.canvas.width * sheet.canvas.height


@pytest.mark.parametrize("region", [(0.0, 0.0, 1.0, 1.0), factory.square_region(180, 120)])
def test_a_click_in_the_middle_of_any_cell_finds_its_token(region):
    layout = TokenLayout.regular(7, 3, 4, region, placeless=1)
    sheet = Sheet.over(clips.grey(7), layout, 390)
    tokens = np.flatnonzero(layout.placed)
    cells = sheet.cells(layout.frame[tokens], layout.box[tokens])
    points = (cells[:, :2] + cells[:, 2:]) / 2 / sheet.size
    for token, (x, y) in zip(tokens.tolist(), points.tolist(), strict=True):
        spot = sheet.frame_at(x, y)
        assert spot is not None and token_at(layout, *spot) == token


def test_a_click_beside_the_frames_finds_nothing():
    sheet = Sheet.over(clips.grey(7), TokenLayout.regular(7, 3, 4), 390)
    left, top = sheet.corner(1)
    wide, tall = sheet.size
    beside = [(left - 1, top + 5), (left + 5, top - 1), (left + 5, top + sheet.canvas.height + 1)]
    assert [sheet.frame_at(x / wide, y / tall) for x, y in beside] == [None] * 3
    assert sheet.frame_at(0.999, 0.8) is None  # seven frames leave the last places free
    assert token_at(TokenLayout.regular(1, 3, 4, (0.0, 0.0, 0.5, 1.0)), 0, 0.75, 0.5) is None


def test_where_cells_overlap_a_click_finds_the_smaller_one():
    layout = TokenLayout(
        frame=np.zeros(2, dtype=np.int32),
        box=np.array([[0, 0, 1, 1], [0.25, 0.25, 0.5, 0.5]], dtype=np.float32),
        grid=None,
    )
    assert token_at(layout, 0, 0.3, 0.3) == 1 and token_at(layout, 0, 0.8, 0.3) == 0


def test_text_on_a_sheet_has_enough_contrast_in_both_themes():
    def light(rgb):
        part = np.array(rgb) / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for ink in (INK, FAINT):
        assert (light(ink) + 0.05) / (light(GROUND) + 0.05) >= 4.5
    sheet = strip(clips.grey(), clips.trace())
    assert isinstance(sheet, Image.Image) and sheet.mode == "RGB"  # opaque
