"""The chart of a clip over time: its frames and the segments of the methods."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.render.chart import chart_png
from app.render.clip_timeline import (
    clip_notes,
    clip_timeline_chart,
    frame_bars,
    frame_edges,
    segment_bars,
)
from pruning.methods import create
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import clips, factory
from tests.pruning.clips import T, clip, seen


@pytest.fixture
def comparison():
    flash = factory.lane("flashvid", "FlashVID", clips.trace(inner=True), "To the right.")
    whole = TokenTrace(clips.LAYOUT, (), factory.LAYERS)
    vanilla = factory.lane("vanilla", "Vanilla", whole, "Up.")
    failure = factory.comparison().lanes[3]
    return factory.comparison(media=clips.grey(), lanes=(vanilla, failure, flash))


@pytest.mark.parametrize("name", ["flashvid", "fastvid", "prunevid"])
def test_a_method_that_cuts_segments_records_them(name):
    found = create(name).compress(seen(clip()), 60)
    step = TraceStep.of(0, found.then(found.identity(len(found))))
    assert step.segments.shape == (T,) and step.segments[0] == 0
    assert set(np.diff(step.segments)) <= {0, 1}


def test_a_method_without_segments_records_none():
    assert create("ttm").compress(seen(clip()), 60).segments is None


def test_bars_count_every_survivor_once(comparison):
    bars = frame_bars(comparison)
    trace = comparison.lanes[2].trace
    own = [bar for bar in bars if bar["lane"] == "FlashVID"]
    assert sum(bar["enter"] for bar in own) == len(trace.alive(0)) == 4
    assert sum(bar["kept"] for bar in own) == len(trace.survivors) == 2
    assert all(bar["kept_top"] >= bar["enter_top"] for bar in own)


def test_a_segment_lasts_from_midway_before_its_first_frame_to_midway_after_its_last(comparison):
    found = [(bar["segment"], bar["start"], bar["end"]) for bar in segment_bars(comparison)]
    assert found == [
        ("1 of 3, frame 1 to 3", 0.0, 1.25),
        ("2 of 3, frame 4 to 5", 1.25, 2.25),
        ("3 of 3, frame 6", 2.25, 2.75),
    ]


def test_a_lane_has_its_number_of_segments_and_a_failed_one_has_no_row(comparison):
    notes = [(note["lane"], note["note"]) for note in clip_notes(comparison)]
    assert notes == [("Vanilla", "cuts no segments"), ("FlashVID", "3 segments")]


def test_frames_may_be_unevenly_spaced():
    assert frame_edges(np.array([0.5, 1.0, 3.0])) == [0.25, 0.75, 2.0, 4.0]
    assert frame_edges(np.array([2.0])) == [2.0, 3.0]


def test_frames_that_the_model_encodes_as_one_are_one_bar():
    frame = np.repeat([0, 2, 4], clips.PER_FRAME).astype(np.int32)
    layout = replace(TokenLayout.regular(3, clips.ROWS, clips.COLS), frame=frame)
    step = factory.selection_step(np.arange(0, len(layout), 2), len(layout))
    trace = TokenTrace(layout, (replace(step, segments=np.array([0, 0, 1])),), 8)
    lane = factory.lane("flashvid", "FlashVID", trace, "Up.")
    comparison = factory.comparison(media=clips.grey(), lanes=(lane,))
    bars = frame_bars(comparison)
    assert [(bar["start"], bar["end"]) for bar in bars] == [(0.0, 0.75), (0.75, 1.75), (1.75, 2.75)]
    assert [bar["end"] for bar in segment_bars(comparison)] == [1.75, 2.75]


def test_the_chart_has_one_row_per_lane(comparison, tmp_path):
    chart = clip_timeline_chart(comparison)
    chart_png(chart, tmp_path / "two.png")
    chart_png(clip_timeline_chart(replace(comparison, lanes=comparison.lanes[:1])),
              tmp_path / "one.png")  # fmt: skip
    two, one = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("two", "one"))
    assert two.shape[0] - one.shape[0] == 2 * 92
    red = np.abs(two[..., :3].astype(int) - [0xCC, 0x33, 0x11]).max(axis=2) < 8
    assert red.any()  # the third lane has its colour, though the second has no row
