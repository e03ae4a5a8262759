"""Qwen3-VL on clips: time stamps between frames, ids and deep states equal stock's."""

from __future__ import annotations

import re

import pytest
import torch

from models.engine.pipeline import Lane
from models.families.qwen3_vl import frame_times
from models.uploads.media import Media
from pruning.axes import place_between
from pruning.base import PositionStrategy
from pruning.methods import create
from pruning.ops.grid import coordinates
from tests.models.test_exactness import assert_equal
from tests.pruning.golden import cases
from tests.tiny import clip, prefilled, tiny_qwen3_vl

CLIPS = (clip(), clip(5), clip(1), clip(6, height=60, width=30))
each_clip = pytest.mark.parametrize("media", CLIPS, ids=lambda media: str(media.frames.shape))
golden = pytest.mark.parametrize("case", list(cases("qwen3_vl_clip")), ids=lambda case: case.id)


def stamps(lane: Lane) -> list[str]:
    """The text of the prompt, by piece."""
    return [lane.adapter.tokenizer.decode(text) for text in lane.prompt.texts]


def text_ids(lane: Lane) -> torch.Tensor:
    """(3, O) position ids of the text."""
    visual = lane.sequence.visual
    rows = torch.ones(len(lane.sequence.embeds), dtype=torch.bool).index_fill(0, visual, False)
    return lane.sequence.positions[:, rows]


@pytest.mark.parametrize("frames", [1, 5])
def test_clips_of_one_frame_or_an_odd_number_are_generate_to_the_last_bit(frames: int) -> None:
    assert_equal(tiny_qwen3_vl(), clip(frames))


@each_clip
def test_ids_of_a_clip_are_stock_s(media: Media) -> None:
    adapter = tiny_qwen3_vl()
    lane = prefilled(adapter, create("vanilla"), media)
    prompt, marker = lane.prompt, adapter.marker("video")
    per_frame = len(prompt.layout) // (len(prompt.texts) - 1)
    marked = prompt.before.new_full((per_frame,), marker)
    *before, after = prompt.texts
    ids = torch.cat([*(piece for text in before for piece in (text, marked)), after])
    kinds, grid = 2 * (ids == marker).int(), adapter.encoder_of(prompt).patch_grid
    stock, _ = adapter.model.model.get_rope_index(ids[None], kinds[None], video_grid_thw=grid)
    assert torch.equal(lane.sequence.positions, stock[:, 0])
    assert lane.sequence.visual.tolist() == (ids == marker).nonzero().squeeze(1).tolist()


@golden
def test_time_stamps_are_those_of_the_stock_processor(case) -> None:
    seconds = frame_times(case.frame_indices.numpy() / case.knobs["fps"], 2)
    assert seconds == pytest.approx(case.expect_timestamps.tolist(), abs=1e-5)
    written = re.findall(r"<[\d.]+ seconds>", case.knobs["text"])
    assert written == [f"<{second:.1f} seconds>" for second in seconds]


@golden
def test_ids_of_a_stored_prompt_are_those_of_stock_and_survivors_keep_theirs(case) -> None:
    frames, grid = case.knobs["frames"], case.knobs["grid"]
    _, row, col = coordinates((frames, *grid), torch.device("cpu"))
    every = torch.stack([torch.zeros_like(row), row, col])  # (3, T·n)
    is_video = case.input_ids == case.input_ids.mode().values
    assert int(is_video.sum()) == len(row)
    bounds = is_video.int().diff(prepend=torch.zeros(1, dtype=torch.int32)).nonzero().squeeze(1)
    edges = [0, *bounds.tolist(), len(is_video)]
    texts = [end - start for start, end in zip(edges[::2], edges[1::2], strict=True)]
    for kept, expected in (
        (torch.ones_like(case.keep), case.expect_positions),
        (case.keep, case.expect_kept_positions),
    ):
        parts = zip(every.chunk(frames, dim=1), kept.chunk(frames), strict=True)
        placed, _ = place_between(
            PositionStrategy.PESP, texts, [part[:, there] for part, there in parts], (1, *grid)
        )
        assert torch.equal(placed, expected)
    assert int(placed.max()) + 1 == case.knobs["next_id"]


def test_each_frame_stands_behind_its_time_between_its_marks() -> None:
    lane = prefilled(tiny_qwen3_vl(), create("vanilla"), clip())
    start, end = "<|vision_start|>", "<|vision_end|>"
    first, *others, last = stamps(lane)
    assert first.endswith(f"{start}<0.1 seconds>{start}")
    times = ("0.6", "1.1", "1.6")
    assert others == [f"{end}<{time} seconds>{start}" for time in times]
    assert last.startswith(f"{end}{end}")


def test_a_frame_without_survivors_keeps_its_time_and_text_its_ids() -> None:
    """EVS keeps the first of four frames, and one token more."""
    whole = prefilled(tiny_qwen3_vl(), create("vanilla"), clip())
    lane = prefilled(tiny_qwen3_vl(), create("evs", retention_ratio=0.27), clip())
    frame = lane.sequence.anchors * 4 // len(lane.prompt.layout)
    assert len(frame.unique()) < 4
    assert stamps(lane) == stamps(whole)
    assert torch.equal(text_ids(lane), text_ids(whole))
    kept = whole.sequence.positions[:, whole.sequence.visual[lane.sequence.anchors]]
    assert torch.equal(lane.sequence.positions[:, lane.sequence.visual], kept)


@pytest.mark.parametrize("name", ["flashvid", "nuwa", "holitom"])
def test_survivors_stay_in_their_frames_and_deep_states_go_with_them(name: str) -> None:
    adapter = tiny_qwen3_vl()
    lane = prefilled(adapter, create(name, family="qwen3-vl", retention_ratio=0.5), clip())
    pieces = torch.tensor([len(text) for text in lane.prompt.texts]).cumsum(0)
    frame = lane.sequence.anchors * 4 // len(lane.prompt.layout)
    behind = lane.sequence.visual - torch.arange(len(frame))
    assert torch.equal(behind, pieces[frame])
    for mapped, whole in zip(lane.sequence.deepstack, lane.visual.deepstack, strict=True):
        torch.testing.assert_close(mapped, lane.token_map.apply(whole))
