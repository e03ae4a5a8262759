"""Signals of the request: gaze as it came, and events as the frames give them."""

from __future__ import annotations

import numpy as np
import pytest

from models.engine.checks import MAX_GAZE, check_gaze
from models.engine.pipeline import Lane
from models.engine.request_signals import events
from pruning.errors import ExplainedError, UnsupportedError
from pruning.methods import create
from pruning.tokens import TokenLayout
from tests.tiny import clip, picture, prefilled, tiny_llava, tiny_onevision, tiny_qwen2_5_vl


def still(frames: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (1, 40, 40, 3))
    return noise.repeat(frames, axis=0).astype(np.uint8)


def test_a_still_clip_or_one_frame_has_no_events() -> None:
    for frames in (1, 3):
        assert not events(still(frames), TokenLayout.regular(frames, 4, 4)).any()


def test_events_lie_where_a_square_appears_and_in_the_frame_in_which_it_does() -> None:
    frames = still(4)
    frames[2:, 10:20, 20:30] = 0
    found = events(frames, TokenLayout.regular(4, 4, 4)).reshape(4, 4, 4)
    assert np.argwhere(found).tolist() == [[2, 1, 2]]


def test_the_first_frame_takes_the_changes_to_the_second() -> None:
    frames = still(3)
    frames[1:, :10] = 255
    found = events(frames, TokenLayout.regular(3, 4, 4)).reshape(3, 16)
    assert found[0].tolist() == found[1].tolist() and not found[2].any()


def test_small_changes_are_noise() -> None:
    frames = np.full((2, 40, 40, 3), 100, dtype=np.uint8)
    frames[1] = 110
    assert not events(frames, TokenLayout.regular(2, 4, 4)).any()


def test_a_token_of_two_frames_takes_the_changes_of_both() -> None:
    frames = still(4)
    frames[3, :10] = 255
    pairs = TokenLayout(
        np.array([0, 2], dtype=np.int32), np.array([[0, 0, 1, 0.25]] * 2, dtype=np.float32)
    )
    before, after = events(frames, pairs)
    assert before == 0 and after > 0.5


@pytest.mark.parametrize("model", [tiny_onevision, tiny_qwen2_5_vl])
def test_a_moving_square_survives_on_every_model(model) -> None:
    lane = prefilled(model(), create("epvlm", retention_ratio=0.3), clip())
    found, kept = lane.visual.events, lane.token_map.anchors
    dropped = np.setdiff1d(np.arange(len(found)), kept)
    assert found.shape == (len(lane.visual),) and found[kept].min() >= found[dropped].max()


def test_a_still_picture_and_a_missing_gaze_are_refused_in_one_sentence() -> None:
    with pytest.raises(UnsupportedError, match="EP-VLM takes a clip, and a picture came: upload"):
        Lane(tiny_onevision(), picture(), "?", create("epvlm"))
    with pytest.raises(UnsupportedError, match="GazeVLM needs to know where you look, and no gaze"):
        Lane(tiny_llava(), picture(), "?", create("gazevlm"))


def test_gaze_is_read_with_and_without_seconds() -> None:
    assert check_gaze(" 0.3,0.5  1,0,2.5 ") == ((0.3, 0.5, 1.0), (1.0, 0.0, 2.5))
    assert check_gaze("") == ()


@pytest.mark.parametrize("text", ["0.3", "0.3,1.2", "a,b", "0.1,0.2,0", "0.1,0.2,1,1", "nan,0.5"])
def test_a_wrong_point_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(ExplainedError, match=r"wanted x,y or x,y,seconds"):
        check_gaze(text)


def test_too_many_points_are_refused() -> None:
    with pytest.raises(ExplainedError, match="limit is 500"):
        check_gaze("0,0 " * (MAX_GAZE + 1))
