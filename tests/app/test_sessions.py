"""What is kept of who was here: nothing of what was sent, and a session while its tab is open."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import gradio as gr
import httpx
import pytest
from gradio.state_holder import SessionState, StateHolder
from gradio_client import Client, handle_file

from app.settings import Settings
from app.tab import Tab
from app.ui.build import build, launch
from app.ui.held import Held
from app.ui.sessions import HOUR, components, drop_unfetched, forget_closed
from tests.app.fake_worker import ANSWERS, FakeWorker, wait_until

QUESTION = "Where is the secret ball?"


@pytest.fixture(scope="module")
def page():
    """The page, served, and its address."""
    demo = build(FakeWorker(), Settings(address_jobs=0))
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    yield demo, url
    demo.close()


def test_nothing_of_what_a_page_was_sent_is_kept_but_its_comparison(page, picture):
    demo, url = page
    tab, declared = Tab(url), demo.default_config.blocks.get
    assert tab.compare(picture, QUESTION, ["nuwa"])[1] == ANSWERS["nuwa"]
    state = demo.state_holder.session_data[tab.session]
    wait_until(lambda: not state.config_values)
    (kept,) = [value for value in state.state_data.values() if isinstance(value, Held)]
    assert kept.comparison.question == QUESTION
    made = {
        id: block for id, block in state.blocks_config.blocks.items() if block is not declared(id)
    }
    assert len(made) == 2, "the inspector's lists, whose choices are the comparison's"
    assert "secret" not in str([vars(block) for block in made.values()])


def test_a_tab_keeps_its_choices_and_nothing_else_that_was_made_anew(page):
    demo, _ = page
    state, declared = SessionState(demo), demo.default_config.blocks
    first = {type(block): id for id, block in reversed(declared.items())}
    choices, html = first[gr.CheckboxGroup], first[gr.HTML]
    state.blocks_config.blocks |= dict.fromkeys([choices, html, 10**6], "made anew")
    kept = components(demo, state)
    assert kept[choices] == "made anew" and kept[html] is declared[html]
    assert list(kept) == list(declared)


def test_the_session_of_a_program_is_forgotten_once_it_is_answered(page, picture):
    demo, url = page
    client = Client(url, verbose=False)
    client.predict(handle_file(picture), QUESTION, api_name="/compare")
    with pytest.raises(Exception, match="question is empty"):
        client.predict(handle_file(picture), "", api_name="/compare")
    assert client.session_hash not in demo.state_holder


def test_a_tab_that_only_looked_is_closed_for_gradio_too(page):
    demo, url = page
    session = uuid4().hex
    with httpx.stream("GET", f"{url}gradio_api/heartbeat/{session}") as tab:
        assert next(tab.iter_lines())
    wait_until(lambda: session in demo.state_holder)
    wait_until(lambda: demo.state_holder.session_data[session].is_closed)


def test_a_closed_tab_is_forgotten_after_an_hour_and_an_open_one_is_not():
    holder = StateHolder()
    holder.set_blocks(build(FakeWorker(), Settings()))
    holder["closed"].is_closed = True
    assert holder["open"].config_values, "what a call that came to nothing leaves"
    forget_closed(holder, datetime.now() + timedelta(seconds=HOUR - 10))
    assert "closed" in holder and not holder["open"].config_values
    forget_closed(holder, datetime.now() + timedelta(seconds=HOUR + 10))
    assert list(holder.session_data) == list(holder.time_last_used) == ["open"]


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


def test_a_server_looks_by_itself(picture, monkeypatch):
    monkeypatch.setattr("app.ui.sessions.MINUTE", 0.2)
    demo = build(FakeWorker(), Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        tab = Tab(url)
        tab.join(picture, QUESTION, [])
        lying = demo._queue.pending_messages_per_session
        assert tab.session in lying
        wait_until(lambda: tab.session not in lying)
    finally:
        demo.close()
