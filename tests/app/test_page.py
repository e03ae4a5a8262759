"""The page against a made-up worker: what is sent, when, and that nothing sent can act."""

from __future__ import annotations

import asyncio
import html
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.events import ComparisonDone
from app.render.sheet import Sheet
from app.render.summary import conditions_line, lane_rows
from app.render.tree import tree_words
from app.settings import Settings
from app.ui import board, choices, form
from app.ui.build import build
from app.ui.following import Following
from app.ui.handlers import Handlers
from app.ui.inspector import ALL, WIDTH, trees_of
from app.ui.uploads import ClipInput, PictureInput
from models.catalog import find
from models.media import read_media
from models.record import LaneFailure
from pruning.methods import create
from pruning.trace import Fate
from tests import tiny
from tests.app import clips, factory
from tests.app.fake_worker import FakeWorker, wait_until

QUESTION = "Where is the red ball?"
TAB = SimpleNamespace(session_hash="a tab")
HOSTILE = "<script>alert(1)</script> ${alert(2)} {{constructor}} ![x](http://evil.test/x.png)"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "ball.png"
    Image.fromarray(factory.picture(320, 240)).save(path)
    return str(path)


def handlers(worker) -> Handlers:
    settings = Settings()
    with gr.Blocks():
        return Handlers(worker, settings, form.declare(settings), board.declare(settings))


def ask(
    page: Handlers,
    picture,
    question=QUESTION,
    model=Settings.model,
    kind="image",
    clip=None,
    **changes,
):
    values = {
        "methods": ["visionzip", "nuwa", "pooling"],
        "ratio": 1 / 9,
        "positions": "published",
        "frames": 8,
        "tokens": 64,
        "temperature": 0.0,
        "seed": 0,
    } | changes
    return page.run(kind, picture, clip, question, model, *values.values(), TAB)


def test_every_lane_ends_with_its_answer_its_picture_and_its_tokens(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    texts = [last[page.board.parts[f"text{lane}"]] for lane in range(4)]
    assert "A red ball lies on the grass near a lake." in texts[0]
    assert "576 → 112 → 16" in texts[2]
    assert all('data-phase="done"' in text for text in texts)
    for lane in range(4):
        shown = last[page.board.parts[f"picture{lane}"]]
        assert shown.count("data:image/jpeg;base64,") == 3 + (lane == 2), (
            "Nüwa prunes in the LLM too"
        )
        assert "kept" in shown and 'alt=""' not in shown
        assert "1 box in the answer" in shown, "each view has a legend of its own"


def test_words_that_vanilla_did_not_say_are_marked(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert ">house.</mark>" in last[page.board.parts["text2"]]
    assert "<mark" not in last[page.board.parts["text0"]]


def test_only_what_changed_is_sent_while_answers_stream(picture):
    page = handlers(FakeWorker(pause=0.06))
    first, *middle, _last = list(ask(page, picture))
    assert len(first) > 8
    assert all(0 < len(update) <= 4 for update in middle)
    assert sum(len(update) == 1 for update in middle) > len(middle) / 2


def test_the_last_update_carries_every_value(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert set(last) == set(page.outputs())
    assert not any(value == gr.skip() for value in last.values() if isinstance(value, dict))


def test_text_goes_out_at_most_twenty_times_a_second(picture):
    page = handlers(FakeWorker(answer=lambda name: "word " * 100, pause=0.002))
    texts = {page.board.parts[f"text{lane}"] for lane in range(4)}
    sent = [time.monotonic() for update in ask(page, picture) if set(update) <= texts]
    assert len(sent) > 10
    assert len(sent) - 1 <= 20 * (sent[-1] - sent[0]) + 1  # the last may follow at once


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"question": "   "}, "question is empty"),
        ({"question": "x" * 5_000}, "5,000 characters"),
        ({"model": "gpt"}, "gpt"),
        ({"methods": ["zip"]}, "zip"),
        ({"methods": ["nuwa", "visionzip", "pooling", "fastv"]}, "most is 4"),
        ({"ratio": 0.0}, "Retention ratio is 0"),
        ({"ratio": 1.5}, "Retention ratio is 1.5"),
        ({"tokens": 100_000}, "100000"),
    ],
)
def test_a_request_that_cannot_run_is_one_sentence_and_never_reaches_the_worker(
    picture, changes, sentence
):
    worker = FakeWorker()
    page = handlers(worker)
    (only,) = ask(page, picture, **changes)
    assert sentence in only[page.form.status] and 'role="alert"' in only[page.form.status]
    assert not worker.jobs
    assert page.board.results in list(ask(page, picture))[-1], "the page lives on"


def test_a_file_that_is_no_picture_is_one_sentence(tmp_path):
    path = tmp_path / "<img onerror=alert(1)>.png"
    path.write_text("not a picture")
    page = handlers(FakeWorker())
    (only,) = ask(page, str(path))
    assert "not a picture" in only[page.form.status]
    assert "<img" not in only[page.form.status]


def test_no_picture_is_one_sentence():
    page = handlers(FakeWorker())
    (only,) = ask(page, None)
    assert "No picture" in only[page.form.status]


def test_a_lane_that_fails_keeps_its_column_and_the_others_finish(picture):
    page = handlers(FakeWorker(failing=("nuwa",)))
    last = list(ask(page, picture))[-1]
    assert "It fell over. Ask for a larger ratio." in last[page.board.parts["text2"]]
    assert 'data-phase="failed"' in last[page.board.parts["text2"]]
    assert 'data-phase="done"' in last[page.board.parts["text3"]]
    assert "3 of 4 lanes answered, 1 failed" in last[page.form.status]


def test_markup_in_an_answer_a_reason_and_a_figure_stays_text(picture):
    page = handlers(FakeWorker(answer=lambda name: HOSTILE))
    last = list(ask(page, picture))[-1]
    shown = [value for value in last.values() if isinstance(value, str)]
    assert any("&lt;script&gt;" in value for value in shown)
    assert not any("<script" in value or "<img src=x" in value for value in shown)


def test_a_worker_that_breaks_is_one_sentence_and_the_buttons_come_back(picture):
    class Broken(FakeWorker):
        def run(self, job, cancelled=None):
            raise RuntimeError("secret path")
            yield

    page = handlers(Broken())
    last = list(ask(page, picture))[-1]
    assert "internal error" in last[page.form.status]
    assert "secret" not in last[page.form.status]
    assert last[page.form.compare].interactive and not page.running


def test_stop_frees_the_device_and_leaves_what_is_there(picture):
    worker = FakeWorker(pause=0.2)
    page = handlers(worker)
    updates = []
    running = threading.Thread(target=lambda: updates.extend(ask(page, picture)))
    running.start()
    wait_until(lambda: len(updates) > 3)
    stopped = page.stop(TAB)
    running.join(timeout=5)
    assert not running.is_alive() and worker.cancelled[0].is_set()
    assert "Stopped" in stopped[page.form.status]
    assert 'data-phase="stopped"' in stopped[page.board.parts["text0"]]
    assert not page.running


def test_a_closed_tab_frees_the_device(picture):
    worker = FakeWorker(pause=0.05)
    page = handlers(worker)
    updates = ask(page, picture)
    next(updates), next(updates)
    updates.close()
    assert worker.cancelled[0].is_set() and not page.running


def test_stop_without_a_comparison_says_so_and_does_no_harm():
    page = handlers(FakeWorker())
    assert "Stopped" in page.stop(TAB)[page.form.status]


def test_every_listener_that_uses_the_worker_shares_one_limit():
    demo = build(FakeWorker(), Settings())
    shared = [fn for fn in demo.fns.values() if fn.concurrency_id == "device"]
    assert len(shared) == 3 - 1  # the page's one listener (click and Enter), and the endpoint
    assert {fn.concurrency_limit for fn in shared} == {1}


@pytest.mark.parametrize("upload", [PictureInput, ClipInput])
def test_an_upload_never_comes_from_an_address(upload):
    with pytest.raises(gr.Error, match="web address"):
        asyncio.run(upload().async_move_resource_to_block_cache("http://host.test/x.png"))


def test_at_most_three_methods_stand_beside_vanilla():
    assert choices.default_lanes("embedded-image", "image", 4) == ["visionzip", "nuwa", "pooling"]


def test_of_presets_those_that_follow_another_source_are_offered_by_the_name_of_their_lane():
    pictures, clips = map(choices.method_choices, ("embedded-image", "embedded-video"))
    offered = dict(pictures) | dict(clips)
    assert "vanilla" not in offered
    assert {name: title for name, title in offered.items() if "flashvid" in name} == {
        "flashvid": "FlashVID",
        "flashvid:official": "FlashVID, official",
    }
    assert offered["nuwa:paper"] == "Nüwa, paper" and offered["nuwa"] == "Nüwa"
    assert all(create(name).label == title for name, title in offered.items())


def test_the_same_run_has_the_same_figures_in_the_record_and_on_the_page(picture):
    worker = FakeWorker()
    page = handlers(worker)
    last = list(ask(page, picture))[-1]
    *_, done = FakeWorker().run(worker.jobs[0])
    assert isinstance(done, ComparisonDone)
    for row in lane_rows(done.comparison):
        for key in ("total_ms", "kv_mb", "tokens"):
            assert row["text"][key] in last[page.board.figures]
    assert conditions_line(done.comparison) in last[page.board.conditions]


def test_the_position_strategy_chosen_on_the_page_reaches_every_method(picture):
    worker = FakeWorker()
    list(ask(handlers(worker), picture, positions="rpme"))
    _, *others = worker.jobs[-1].methods
    assert [method.numbering for method in others] == ["rpme"] * 3


def test_a_method_for_video_only_is_not_offered_for_a_model_of_pictures():
    names = {name for name, _ in choices.method_choices("embedded-image")}
    assert "nuwa:paper" in names and "flashvid" not in names


def test_a_half_typed_ratio_is_no_error():
    assert "16" in choices.retention_note(0.111, "embedded-image")
    for typed in (None, 0, 7):
        assert "at most 1" in choices.retention_note(typed, "embedded-image")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(factory.clip_file(tmp_path_factory.mktemp("clips") / "ball.mp4"))


def ask_of_clip(page, clip, **changes):
    lanes = {"methods": ["flashvid", "fastvid", "ttm"]} | changes
    return ask(page, None, QUESTION, "embedded-video", kind="video", clip=clip, **lanes)


def test_a_clip_ends_with_a_strip_a_lane_a_timeline_and_a_tree(clip):
    page = handlers(FakeWorker())
    last = list(ask_of_clip(page, clip))[-1]
    assert set(last) == set(page.outputs())
    for lane in range(4):
        shown = last[page.board.parts[f"picture{lane}"]]
        assert shown.count("data:image/jpeg;base64,") == 8 + 8 + 1, "tokens, frames, boxes"
        assert "<b>0.00 s</b>" in shown and "on the last frame, at 0.92 s" in shown
    assert "4 of 64" in last[page.board.parts["picture1"]]
    inspector = page.board.inspector
    assert last[inspector.part].visible and last[page.board.over_time].visible
    assert last[inspector.lane].value == 1, "vanilla has no trees"
    assert "stands for 4 tokens of 4 frames" in last[inspector.words]
    assert "8 frames from 0.00 s to 0.92 s" in last[page.board.conditions]
    assert "decord" in last[page.board.conditions] or "PyAV" in last[page.board.conditions]


def test_a_picture_has_no_part_that_only_a_clip_has(picture):
    page = handlers(FakeWorker())
    last = list(ask(page, picture))[-1]
    assert not last[page.board.inspector.part].visible
    assert not last[page.board.over_time].visible


def test_fewer_frames_than_asked_are_said(clip):
    page = handlers(FakeWorker())
    last = list(ask_of_clip(page, clip, frames=20))[-1]
    assert "12 frames where 20 were asked for" in last[page.board.conditions]


def test_a_click_shows_the_tree_of_the_token_under_it(clip):
    page = handlers(FakeWorker())
    comparison = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    inspector, lane = page.board.inspector, comparison.lanes[1]
    sheet = Sheet.over(comparison.media, lane.trace.layout, WIDTH)
    layout = lane.trace.layout

    def click(token):
        left, top, right, bottom = sheet.cells(int(layout.frame[token]), layout.box[[token]])[0]
        event = SimpleNamespace(index=[(left + right) // 2, (top + bottom) // 2])
        return inspector.choose_token(1, comparison, event)

    member = int(np.flatnonzero(lane.trace.fate == Fate.MERGED)[-1])
    shown = click(member)
    survivor = lane.trace.survivor[member]
    assert tree_words(comparison.media, lane.trace, survivor) in html.unescape(
        shown[inspector.words]
    )
    dropped = int(np.flatnonzero(lane.trace.fate == Fate.DROPPED)[0])
    assert set(click(dropped)) == {inspector.words}
    assert "dropped" in click(dropped)[inspector.words]
    between = inspector.choose_token(1, comparison, SimpleNamespace(index=[0, 0]))
    assert set(between) == {inspector.words}


def test_a_lane_without_trees_shows_what_became_of_all_tokens(clip):
    page = handlers(FakeWorker())
    comparison = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    shown = page.board.inspector.choose_lane(0, comparison)
    assert shown[page.board.inspector.survivor].value == ALL
    assert "kept 512 of 512" in shown[page.board.inspector.words]


def test_an_old_page_whose_comparison_is_gone_says_so():
    page = handlers(FakeWorker())
    inspector = page.board.inspector
    for asked in (
        lambda: inspector.choose_lane(0, None),
        lambda: inspector.choose_survivor(0, 0, None),
        lambda: inspector.choose_token(0, None, SimpleNamespace(index=[0, 0])),
        lambda: next(inspector.keep(0, None)),
        lambda: next(page.keep(None)),
    ):
        with pytest.raises(gr.Error, match="no longer held"):
            asked()


def test_trees_are_those_the_llm_got_and_a_later_drop_is_said():
    lane = factory.lane("tree", "Tree", clips.trace(inner=True), "")
    made = factory.comparison(media=clips.grey(), lanes=(lane,))
    shown = handlers(FakeWorker()).board.inspector
    wall, ball = (tree.survivor for tree in trees_of(lane))
    assert "dropped" not in shown.choose_survivor(wall, 0, made)[shown.words]
    assert "dropped before LLM layer 16" in shown.choose_survivor(ball, 0, made)[shown.words]


def test_a_clip_whose_lanes_all_failed_has_nothing_to_inspect():
    failed = LaneFailure("ttm", "TTM", "It fell over.")
    shown = handlers(FakeWorker()).board.inspector
    update = shown.open(factory.comparison(media=clips.grey(), lanes=(failed,)))
    assert not update[shown.part].visible


def test_the_overlay_clip_is_a_clip(clip, tmp_path):
    page = handlers(FakeWorker())
    comparison = list(ask_of_clip(page, clip))[-1][page.board.comparison]
    for update in page.board.inspector.keep(1, comparison):
        if page.board.inspector.file in update:
            kept = update[page.board.inspector.file]
            assert len(read_media(kept, 64).frames) == 8
            assert kept.endswith("overlay-flashvid.mp4")


def following() -> Following:
    settings = Settings()
    with gr.Blocks():
        return Following(form.declare(settings), gr.Dropdown(), settings)


def test_the_model_follows_the_tab_and_the_methods_follow_the_model():
    follow = following()
    update = follow.open_tab("video", "image", "embedded-image", ["nuwa"], 0.111)
    assert update[follow.model] == "embedded-video"
    assert update[follow.form.methods].value == ["flashvid", "fastvid", "ttm"]
    offered = {name for _, name in update[follow.form.methods].choices}
    assert {"flashvid", "prunevid", "frames", "visionzip"} <= offered
    assert update[follow.form.num_frames].visible
    back = follow.open_tab("image", "video", "embedded-video", ["ttm"], 0.111)
    assert back[follow.model] == "embedded-image"
    assert back[follow.form.methods].value == ["visionzip", "nuwa", "pooling"]


def test_the_tab_follows_the_model_and_then_changes_nothing():
    follow = following()
    update = follow.choose_model("image", "embedded-video", ["nuwa"], 0.111, "embedded-image")
    assert update[follow.form.tabs].selected == "video"
    assert update[follow.form.methods].value == ["flashvid", "fastvid", "ttm"]
    twice = follow.choose_model("video", "embedded-video", ["nuwa"], 0.111, "embedded-video")
    assert follow.form.methods not in twice, "a dropdown tells of one choice twice"
    again = follow.open_tab("video", "video", "embedded-video", ["ttm"], 0.111)
    assert again == {follow.form.kind: "video"}


def test_the_tokens_of_a_frame_are_as_many_as_the_model_makes(tmp_path, monkeypatch):
    model = tiny.tiny_onevision()
    model.model.config.save_pretrained(tmp_path)
    card = replace(find("embedded-video"), source=str(tmp_path))
    monkeypatch.setattr(choices, "find", lambda name: card)
    made = model.prepare(tiny.clip(frames=2), "?").layout
    assert choices.tokens_per_frame("a model of its own") == (made.frame == 0).sum()


def test_tokens_of_a_clip_are_counted_a_frame(monkeypatch):
    monkeypatch.setattr(choices, "tokens_per_frame", lambda model: 36)
    assert "<b>32</b> of 288 visual tokens (8 frames × 36)" in choices.retention_note(
        0.111, "embedded-video"
    )
    assert "of 576 visual tokens (16 frames" in choices.retention_note(0.1, "embedded-video", 16)
    assert "of 36 visual tokens," in choices.retention_note(0.1, "embedded-image", 16)


def test_a_refusal_takes_the_comparison_before_it_off_the_page(picture):
    page = handlers(FakeWorker())
    (refused,) = ask(page, picture, question=" ")
    assert not refused[page.board.results].visible and refused[page.board.empty].visible
    assert not any(refused[column].visible for column in page.board.columns)
