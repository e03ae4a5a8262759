"""What is kept of who was here: nothing of what was sent, and a session while its tab is open."""

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
from app.guard.sessions import MINUTE, drop_unfetched, forget, forget_idle
from app.measure.tab import Tab
from app.page.build import build, launch
from app.page.held import Held
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
    """What a page brings on which somebody chose Video, and a clip."""
    kind, _, upload, _, model, *_ = [one["props"] for one in tab.inputs]
    file = {"path": tab._uploaded(clip), "meta": {"_type": "gradio.FileData"}}
    kind["value"], upload["value"], model["value"] = "video", file, "embedded-video"


def comparison_of(demo, session):
    """What a session holds."""
    state = demo.state_holder.session_data[session]
    (kept,) = [value for value in state.state_data.values() if isinstance(value, Held)]
    return kept.comparison


def test_nothing_of_what_a_page_was_sent_is_kept_but_its_comparison(page, picture, clip):
    demo, url = page
    tab = Tab(url)
    choose_video(tab, clip)
    tab.compare(picture, QUESTION, ["flashvid"])
    state = demo.state_holder.session_data[tab.session]
    wait_until(lambda: not state.config_values)
    assert comparison_of(demo, tab.session).question == QUESTION
    declared = demo.default_config.blocks
    assert state.blocks_config.blocks == declared, "not even the inspector's lists"


def test_the_session_of_a_program_is_forgotten_once_it_is_answered(page, picture):
    demo, url = page
    client = Client(url, verbose=False)
    client.predict(handle_file(picture), QUESTION, api_name="/compare")
    with pytest.raises(Exception, match="question is empty"):
        client.predict(handle_file(picture), "", api_name="/compare")
    assert client.session_hash not in demo.state_holder


def look(url, session) -> None:
    """Open a tab, and close it."""
    with httpx.stream("GET", f"{url}gradio_api/heartbeat/{session}") as tab:
        assert next(tab.iter_lines())


def test_of_a_tab_that_only_looked_nothing_is_left(page, monkeypatch):
    demo, url = page
    session, settled = uuid4().hex, []

    def settle(page, called, state, session):
        sessions.settle(page, called, state, session)
        settled.append(session)

    monkeypatch.setattr(blocks, "settle", settle)
    look(url, session)
    wait_until(lambda: session in settled)
    assert session not in demo.state_holder


def test_a_tab_that_was_away_for_a_moment_has_its_comparison_still(page, picture):
    demo, url = page
    tab = Tab(url)
    tab.compare(picture, QUESTION, [])
    state = demo.state_holder.session_data[tab.session]
    look(url, tab.session)
    wait_until(lambda: state.is_closed)
    assert comparison_of(demo, tab.session).question == QUESTION


def test_a_page_whose_session_was_forgotten_compares_what_it_shows(page, picture, clip):
    demo, url = page
    tab = Tab(url)
    choose_video(tab, clip)
    for name in ("flashvid", "fastvid"):
        forget(demo.state_holder, tab.session)
        tab.compare(picture, QUESTION, [name])
        made = comparison_of(demo, tab.session)
        assert made.media.kind == "video" and made.lanes[1].method == name


def test_a_session_is_forgotten_a_minute_after_its_use_but_not_one_with_a_comparison():
    holder = StateHolder()
    holder.set_blocks(build(FakeWorker(), Settings()))
    asked, compared = holder["asked"], holder["compared"]
    kept = Held(factory.comparison())
    asked.state_data[1], compared.state_data[1] = None, kept
    assert asked.config_values, "what a call that came to nothing leaves"
    forget_idle(holder, (), datetime.now() + timedelta(seconds=MINUTE - 10))
    assert "asked" in holder and not asked.config_values
    forget_idle(holder, (), datetime.now() + timedelta(seconds=MINUTE + 10))
    assert list(holder.session_data) == list(holder.time_last_used) == ["compared"]
    kept.comparison = None  # others needed the room
    forget_idle(holder, {"compared"}, datetime.now() + timedelta(seconds=MINUTE + 10))
    assert "compared" in holder, "it compares again, and will have one"
    forget_idle(holder, (), datetime.now() + timedelta(seconds=2 * MINUTE + 20))
    assert not holder.session_data


class FakeQueue:
    """Gradio's, as far as answers lie in it."""

    def __init__(self, under_way: str, **messages: int) -> None:
        self.event_ids_to_events = {"1": SimpleNamespace(session_hash=under_way)}
        self.pending_messages_per_session = {}
        self.pending_event_ids_session = {session: set() for session in messages}
        for session, count in messages.items():
            self.pending_messages_per_session[session] = lying = asyncio.Queue()
            for number in range(count):
                lying.put_nowait(number)


def test_an_answer_that_nobody_fetches_is_dropped_and_one_that_is_being_fetched_is_not():
    queue = FakeQueue("busy", busy=3, left=3, slow=3, read=0)
    lying = drop_unfetched(queue, {})
    assert len(queue.pending_messages_per_session) == 4, "one look says nothing"
    queue.pending_messages_per_session["slow"].get_nowait()
    drop_unfetched(queue, lying)
    assert list(queue.pending_messages_per_session) == ["busy", "slow"]
    assert list(queue.pending_event_ids_session) == ["busy", "slow"]


def test_a_server_looks_by_itself_and_forgets_a_comparison_when_its_hour_is_over(
    picture, monkeypatch
):
    monkeypatch.setattr("app.guard.sessions.MINUTE", 0.2)
    demo = build(FakeWorker(), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        tab = Tab(url)
        tab.join(picture, QUESTION, [])
        lying = demo._queue.pending_messages_per_session
        assert tab.session in lying
        wait_until(lambda: tab.session not in lying, seconds=30)
        assert comparison_of(demo, tab.session).question == QUESTION
        lives = demo.state_holder[tab.session]._state_ttl
        lives |= {state: (0, made) for state, (_, made) in lives.items()}
        wait_until(lambda: tab.session not in demo.state_holder, seconds=30)
    finally:
        demo.close()


def test_a_look_that_fails_is_logged_and_the_next_one_forgets(monkeypatch, caplog):
    monkeypatch.setattr("app.guard.sessions.MINUTE", 0.01)
    looked = []

    def look(holder, busy):
        looked.append(holder)
        if len(looked) == 1:
            raise RuntimeError("a Gradio of tomorrow")

    async def served():
        async with sessions.session_cleanup(SimpleNamespace(get_blocks=lambda: page)):
            while len(looked) < 3:
                await asyncio.sleep(0.01)

    monkeypatch.setattr("app.guard.sessions.forget_idle", look)
    page = SimpleNamespace(state_holder=None, _queue=FakeQueue("busy", left=1))
    asyncio.run(asyncio.wait_for(served(), timeout=5))
    assert [line.message for line in caplog.records] == ["sessions not looked at"]
    assert not page._queue.pending_messages_per_session
