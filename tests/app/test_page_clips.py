"""The page on a clip, with a fake worker: strips, the timeline, and the inspector."""

from __future__ import annotations

import html
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from app.page.handlers import recording_file
from app.page.held import ComparisonStore, HeldComparison, comparison_of
from app.page.inspector import ALL, WIDTH, _trees
from app.render.sheet import Sheet
from app.render.tree_sheet import describe_tree, frames_of
from models.engine.record import LaneFailure
from models.uploads.read import read_media
from pruning.trace import Fate
from tests.app import clips, factory
from tests.app.asking import ask, ask_of_clip, handlers
from tests.app.fake_worker import FakeWorker


def test_a_clip_gives_a_strip_per_lane_a_timeline_and_a_tree(clip):
    page = handlers(FakeWorker())
    last = list(ask_of_clip(page, clip))[-1]
    assert set(last) == set(page.outputs())
    for lane in range(4):
        shown = last[page.board.parts[f"picture{lane}"]]
        assert shown.count("data:image/jpeg;base64,") == 8 * (lane == 0), "each frame is sent once"
        assert shown.count("<li>") == 8, "a place for each frame"
    inspector = page.board.inspector
    assert last[inspector.part].visible and last[page.board.over_time].visible
    assert last[inspector.lane].value == 1, "vanilla has no trees"
    assert "stands for 4 tokens of 4 frames" in last[inspector.words]
    assert "8 frames from 0.00 s to 0.92 s" in last[page.board.conditions]
    assert "decord" in last[page.board.conditions] or "PyAV" in last[page.board.conditions]


def test_a_picture_has_no_timeline_and_no_inspector(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert not last[page.board.inspector.part].visible
    assert not last[page.board.over_time].visible


def test_the_conditions_name_missing_frames(clip):
    page = handlers(FakeWorker())
    last = list(ask_of_clip(page, clip, num_frames=20))[-1]
    assert "12 frames, fewer than the 20 requested" in last[page.board.conditions]


def test_a_click_shows_the_tree_of_the_token_under_it(clip):
    page = handlers(FakeWorker())
    kept = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    comparison = comparison_of(kept)
    inspector, lane = page.board.inspector, comparison.lanes[1]
    layout = lane.trace.layout

    def click(token, shown=ALL):
        frames = () if shown == ALL else frames_of(lane.trace, shown, 0)
        sheet = Sheet.over(comparison.media, layout, WIDTH, frames)
        left, top, right, bottom = sheet.cells(int(layout.frame[token]), layout.box[[token]])[0]
        event = SimpleNamespace(index=[(left + right) // 2, (top + bottom) // 2])
        return inspector.choose_token(shown, 1, kept, event)

    member = int(np.flatnonzero(lane.trace.fate == Fate.MERGED)[-1])
    shown = click(member)
    survivor = int(lane.trace.survivor[member])
    assert describe_tree(comparison.media, lane.trace, survivor) in html.unescape(
        shown[inspector.words]
    )
    dropped = int(np.flatnonzero(lane.trace.fate == Fate.DROPPED)[0])
    assert set(click(dropped)) == {inspector.words}
    assert "dropped" in click(dropped)[inspector.words]
    assert shown[inspector.survivor].value == survivor
    again = click(member, survivor)  # on the sheet of its tree, which has fewer frames
    assert again[inspector.survivor].value == survivor
    between = inspector.choose_token(ALL, 1, kept, SimpleNamespace(index=[0, 0]))
    assert set(between) == {inspector.words}


def test_the_oldest_comparisons_are_dropped_first_and_never_the_newest():
    def held():
        return HeldComparison(factory.comparison(media=clips.grey()))

    store = ComparisonStore(max_bytes=2 * held().num_bytes)
    first, second, third = (store.hold(held()) for _ in range(3))
    assert comparison_of(second) and comparison_of(third)
    assert store.find(third.address) is third and store.find(first.address) is None
    with pytest.raises(gr.Error, match="no longer held"):
        comparison_of(first)
    assert comparison_of(ComparisonStore(max_bytes=1).hold(held()))


def test_a_lane_without_trees_shows_the_fates_of_all_tokens(clip):
    page = handlers(FakeWorker())
    kept = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    shown = page.board.inspector.choose_lane(0, kept)
    assert shown[page.board.inspector.survivor].value == ALL
    assert "kept 512 of 512" in shown[page.board.inspector.words]


def test_a_full_disk_at_the_end_of_a_comparison_loses_only_one_picture(clip, tmp_path, monkeypatch):
    page = handlers(FakeWorker())
    inspector = page.board.inspector
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert list(ask_of_clip(page, clip))[-1][inspector.picture].value
    assert list(tmp_path.rglob("*.jpeg")), "written before Gradio would"
    (tmp_path / "full").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "full" / "folder"))
    last = list(ask_of_clip(page, clip))[-1]
    assert last[inspector.picture].value is None
    assert "stands for 4 tokens" in last[inspector.words]
    assert "could not be written" in last[inspector.words]
    assert "4 of 4 lanes answered" in last[page.form.status]


def test_a_page_without_a_comparison_says_so():
    page = handlers(FakeWorker())
    inspector = page.board.inspector
    for said in (
        inspector.choose_lane(9, None),
        inspector.choose_survivor(9, 9, None),
        inspector.choose_token(9, 9, None, SimpleNamespace(index=[0, 0])),
    ):
        assert set(said) == {inspector.words} and "no finished comparison" in said[inspector.words]
    for asked in (
        lambda: next(inspector.save_clip(9, None)),
        lambda: next(recording_file(page.board, None)),
    ):
        with pytest.raises(gr.Error, match="no finished comparison"):
            asked()


@pytest.mark.parametrize("sent", [2, 9, -2, 1.5, None, "0", "x" * 500, [0], {}])
def test_an_unknown_lane_or_survivor_is_refused_in_one_sentence(sent):
    tree = factory.lane("tree", "Tree", clips.trace(), "")
    failed = LaneFailure("ttm", "TTM", "It fell over.")
    lanes = (failed, tree, failed)
    made = HeldComparison(factory.comparison(media=clips.grey(), lanes=lanes))
    shown = handlers(FakeWorker()).board.inspector
    for said in (
        shown.choose_lane(sent, made),
        shown.choose_survivor(ALL, sent, made),
        shown.choose_survivor(1.5 if sent == 2 else sent, 1, made),
        shown.choose_token(sent, sent, made, SimpleNamespace(index=[0, 0])),
    ):
        assert set(said) == {shown.words} and "of the list." in said[shown.words]
        assert len(said[shown.words]) < 150
    with pytest.raises(gr.Error, match="There is no lane"):
        next(shown.save_clip(sent, made))
    assert shown.picture in shown.choose_lane(1, made), "that is there"


def test_the_last_update_is_complete_if_its_comparison_is_dropped_at_once(clip, monkeypatch):
    page = handlers(FakeWorker())
    hold = page.store.hold

    def hold_and_drop(comparison):
        held = hold(comparison)
        held.comparison = None  # as if a newer comparison needed the memory
        return held

    monkeypatch.setattr(page.store, "hold", hold_and_drop)
    last = list(ask_of_clip(page, clip))[-1]
    assert "4 of 4 lanes answered" in last[page.form.status]
    assert "stands for 4 tokens" in last[page.board.inspector.words]


def test_trees_are_those_at_the_llm_input_and_a_later_drop_is_named():
    lane = factory.lane("tree", "Tree", clips.trace(inner=True), "")
    made = HeldComparison(factory.comparison(media=clips.grey(), lanes=(lane,)))
    shown = handlers(FakeWorker()).board.inspector
    wall, ball = (tree.survivor for tree in _trees(lane))
    assert "dropped" not in shown.choose_survivor(wall, 0, made)[shown.words]
    assert "dropped before LLM layer 16" in shown.choose_survivor(ball, 0, made)[shown.words]


def test_a_clip_with_only_failed_lanes_has_no_inspector():
    failed = LaneFailure("ttm", "TTM", "It fell over.")
    shown = handlers(FakeWorker()).board.inspector
    update = shown.open(factory.comparison(media=clips.grey(), lanes=(failed,)))
    assert not update[shown.part].visible


def test_the_overlay_clip_can_be_read(clip, tmp_path):
    page = handlers(FakeWorker())
    kept = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    file = page.board.inspector.file
    _, done = page.board.inspector.save_clip(1, kept)
    assert len(read_media(done[file], 64).frames) == 8
    assert done[file].endswith("overlay-flashvid.mp4")
