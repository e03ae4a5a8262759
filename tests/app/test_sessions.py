"""Gradio stores no sent value, and a session only while it has a comparison or is used."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from gradio.state_holder import StateHolder
from gradio_client import Client, handle_file

from app.guard import blocks, sessions
from app.guard.gradio_internals import delete_session
from app.guard.sessions import IDLE_SECONDS, delete_idle_sessions, delete_unread_answers
from app.measure.tab import Tab
from app.page.build import build, launch
from app.page.held import HeldComparison
from app.settings import Settings
from tests.app import factory
from tests.app.fake_worker import FakeWorker, wait_until

QUESTION = "Where is the secret ball?"


@pytest.fixture(scope="module")
def page():
    """The page, served, and its address."""
    demo = build(FakeWorker(), Settings(address_jobs=0))
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    yield demo, url
    demo.close()


def choose_video(tab, clip) -> None:
    """Choose the Video tab and a clip."""
    inputs = [one["props"] for one in tab.inputs]
    kind = next(one for one in inputs if one.get("value") == "image")
    upload, model = (
        next(one for one in inputs if one.get("elem_id") == name) for name in ("clip", "model")
    )
    file = {"path": tab._uploaded(clip), "meta": {"_type": "gradio.FileData"}}
    kind["value"], upload["value"], model["value"] = "video", file, "embedded-video"


def comparison_of(demo, session):
    """The comparison of a session."""
    state = demo.state_holder.session_data[session]
    (kept,) = [value for value in state.state_data.values() if isinstance(value, HeldComparison)]
    return kept.comparison


def test_only_the_comparison_of_a_page_is_stored(page, picture, clip):
    demo, url = page
    tab = Tab(url)
    choose_video(tab, clip)
    tab.compare(picture, QUESTION, ["flashvid"])
    state = demo.state_holder.session_data[tab.session]
    wait_until(lambda: not state.config_values)
    assert comparison_of(demo, tab.session).question == QUESTION
    declared = demo.default_config.blocks
    assert state.blocks_config.blocks == declared, "not even the inspector's lists"


def test_the_session_of_a_program_is_deleted_after_its_answer(page, picture):
    demo, url = page
    client = Client(url, verbose=False)
    client.predict(handle_file(picture), QUESTION, api_name="/compare")
    with pytest.raises(Exception, match="question is empty"):
        client.predict(handle_file(picture), "", api_name="/compare")
    assert client.session_hash not in demo.state_holder


def open_and_close(url, session) -> None:
    with httpx.stream("GET", f"{url}gradio_api/heartbeat/{session}") as tab:
        assert next(tab.iter_lines())


def test_a_closed_tab_without_a_comparison_leaves_no_session(page, monkeypatch):
    demo, url = page
    session, cleaned = uuid4().hex, []

    def clean(page, function, state, session):
        sessions.clean_after_call(page, function, state, session)
        cleaned.append(session)

    monkeypatch.setattr(blocks, "clean_after_call", clean)
    open_and_close(url, session)
    wait_until(lambda: session in cleaned)
    assert session not in demo.state_holder


def test_a_tab_that_reconnects_keeps_its_comparison(page, picture):
    demo, url = page
    tab = Tab(url)
    tab.compare(picture, QUESTION, [])
    state = demo.state_holder.session_data[tab.session]
    open_and_close(url, tab.session)
    wait_until(lambda: state.is_closed)
    assert comparison_of(demo, tab.session).question == QUESTION


def test_a_comparison_sends_its_pictures_once_and_less_than_400_kb(page, picture):
    tab = Tab(page[1])
    answers = tab.compare(picture, QUESTION, ["visionzip", "nuwa", "fastv"])
    print(f"{tab.received:,} bytes")
    assert len(answers) == 4 and tab.received < 400_000


def test_a_page_whose_session_was_deleted_can_compare_again(page, picture, clip):
    demo, url = page
    tab = Tab(url)
    choose_video(tab, clip)
    for name in ("flashvid", "fastvid"):
        delete_session(demo, tab.session)
        tab.compare(picture, QUESTION, [name])
        made = comparison_of(demo, tab.session)
        assert made.media.kind == "video" and made.lanes[1].method == name


def test_an_idle_session_is_deleted_after_a_minute_unless_it_has_a_comparison_or_is_busy(
    page, monkeypatch
):
    page, _ = page
    monkeypatch.setattr(page, "state_holder", holder := StateHolder())
    holder.set_blocks(page)
    asked, compared = holder["asked"], holder["compared"]
    held = HeldComparison(factory.comparison())
    asked.state_data[1], compared.state_data[1] = None, held
    start = datetime.now()
    delete_idle_sessions(page, start + timedelta(seconds=IDLE_SECONDS - 10))
    assert "asked" in holder and not asked.config_values
    delete_idle_sessions(page, start + timedelta(seconds=IDLE_SECONDS + 10))
    assert list(holder.session_data) == list(holder.time_last_used) == ["compared"]
    held.comparison = None  # others needed the memory
    page._queue.event_ids_to_events["1"] = SimpleNamespace(session_hash="compared")
    delete_idle_sessions(page, start + timedelta(seconds=IDLE_SECONDS + 10))
    assert "compared" in holder, "it runs a new comparison"
    page._queue.event_ids_to_events.clear()
    delete_idle_sessions(page, start + timedelta(seconds=2 * IDLE_SECONDS + 20))
    assert not holder.session_data


def fake_page(calling: str, **unread: int) -> SimpleNamespace:
    """A page whose queue holds unread messages, and a call of the session `calling`."""
    queue = SimpleNamespace(
        event_ids_to_events={"1": SimpleNamespace(session_hash=calling)},
        pending_messages_per_session={session: asyncio.Queue() for session in unread},
        pending_event_ids_session={session: set() for session in unread},
    )
    for session, count in unread.items():
        for number in range(count):
            queue.pending_messages_per_session[session].put_nowait(number)
    return SimpleNamespace(_queue=queue)


def test_an_answer_is_deleted_when_no_message_of_it_was_read_between_two_cleanups():
    page = fake_page("busy", busy=3, left=3, slow=3, read=0)
    pending = page._queue.pending_messages_per_session
    unread = delete_unread_answers(page, {})
    assert len(pending) == 4, "the first cleanup deletes none"
    pending["slow"].get_nowait()
    delete_unread_answers(page, unread)
    assert list(pending) == list(page._queue.pending_event_ids_session) == ["busy", "slow"]


def test_the_server_cleans_up_by_itself_and_deletes_an_expired_comparison(picture, monkeypatch):
    monkeypatch.setattr("app.guard.sessions.IDLE_SECONDS", 0.2)
    demo = build(FakeWorker(), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        tab = Tab(url)
        tab.join(picture, QUESTION, [])
        unread = demo._queue.pending_messages_per_session
        assert tab.session in unread
        wait_until(lambda: tab.session not in unread, seconds=60)
        assert comparison_of(demo, tab.session).question == QUESTION
        lives = demo.state_holder[tab.session]._state_ttl
        lives |= {state: (0, made) for state, (_, made) in lives.items()}
        wait_until(lambda: tab.session not in demo.state_holder, seconds=60)
    finally:
        demo.close()


def test_a_cleanup_that_fails_is_logged_and_the_next_one_runs(monkeypatch, caplog):
    cleaned = []

    def fail_once(page):
        cleaned.append(page)
        if len(cleaned) == 1:
            raise RuntimeError("a later version of Gradio")

    async def serve():
        async with sessions.session_cleanup(SimpleNamespace(get_blocks=lambda: page)):
            while len(cleaned) < 4:
                await asyncio.sleep(0.01)

    monkeypatch.setattr("app.guard.sessions.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("app.guard.sessions.delete_idle_sessions", fail_once)
    page = fake_page("busy", left=1)
    asyncio.run(asyncio.wait_for(serve(), timeout=60))
    assert [line.message for line in caplog.records] == ["session cleanup failed"]
    assert not page._queue.pending_messages_per_session
