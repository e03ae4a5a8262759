"""The overlay clip: the frames read back are those drawn."""

import av
import numpy as np
import pytest

from app.render.overlay_clip import SIDE, overlay_clip
from app.render.sheet import GAP, ZOOM
from app.render.strip import frame_cells
from tests.app import clips

MARGIN = ZOOM * GAP


def read_back(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        return stream.codec_context, file.duration / av.time_base, frames


@pytest.mark.parametrize("shape", [(180, 120), (91, 163)])
def test_the_clip_is_h264_with_every_overlay(tmp_path, shape):
    media, trace = clips.grey(clips.T, *shape), clips.trace()
    overlay_clip(media, trace, tmp_path / "overlay.mp4")
    codec, duration, frames = read_back(tmp_path / "overlay.mp4")
    assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    assert codec.width % 2 == codec.height % 2 == 0 and max(codec.width, codec.height) >= 480
    assert len(frames) == clips.T and duration == pytest.approx(clips.T / 2)
    for cell, frame in zip(frame_cells(media, trace, size=SIDE), frames, strict=True):
        height, width = cell.picture.height, cell.picture.width
        shown = frame[MARGIN : MARGIN + height, MARGIN : MARGIN + width].astype(float)
        assert np.abs(shown - np.asarray(cell.picture)).mean() < 8


def test_the_clip_shows_drops_inside_the_llm_and_replaces_an_older_file(tmp_path):
    path, shown = tmp_path / "overlay.mp4", []
    for inner in (False, True):
        overlay_clip(clips.grey(), clips.trace(inner), path)
        shown.append(read_back(path)[2][1].astype(int))
    assert np.abs(shown[0] - shown[1]).mean() > 1
