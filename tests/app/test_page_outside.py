"""A question that a model was not trained on: what the page and a program are told of it."""

from __future__ import annotations

import threading

import pytest

from app.page.api import Endpoint
from app.page.build import build, launch
from app.request import Request
from app.settings import Settings
from tests.app.asking import QUESTION, ask, ask_of_clip, handlers
from tests.app.browser import NEEDS_CHROMIUM, give_picture, tab
from tests.app.fake_worker import FakeWorker

OUTSIDE = "What is the mood of this picture?"


def test_the_note_comes_with_the_lanes_and_the_lanes_answer_all_the_same(picture):
    page = handlers(FakeWorker())
    _, first, *_, last = list(ask(page, picture, OUTSIDE))
    note = first[page.board.outside]
    assert "does not know the word “mood”" in note and "Where is the red car?" in note
    assert last[page.board.outside] == note
    assert "A red ball lies" in last[page.board.parts["text0"]]


def test_the_model_of_clips_has_a_note_of_its_own(clip):
    page = handlers(FakeWorker())
    _, first, *_ = list(ask_of_clip(page, clip))
    assert "Which way does the car move?" in first[page.board.outside]


def test_a_question_inside_and_a_refusal_take_the_note_away(picture):
    page = handlers(FakeWorker())
    _, first, *_ = ask(page, picture, QUESTION)
    assert first[page.board.outside] == ""
    _, refused = ask(page, picture, " ")
    assert refused[page.board.outside] == ""


def test_markup_in_a_question_outside_stays_text(picture):
    page = handlers(FakeWorker())
    _, first, *_ = ask(page, picture, "<img src=x onerror=alert(1)> & more?")
    note = first[page.board.outside]
    assert "“img”" in note and "<img" not in note


def test_a_program_is_told_too(picture):
    endpoint = Endpoint(FakeWorker(), Settings())
    assert "“mood”" in endpoint.compare(Request(upload=picture, question=OUTSIDE))["note"]
    assert endpoint.compare(Request(upload=picture, question=QUESTION))["note"] == ""


class HeldBack(FakeWorker):
    """Says that the lanes have begun, and no more until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def _events(self, job):
        for index, event in enumerate(super()._events(job)):
            if index == len(job.methods):
                assert self.told.wait(60)
            yield event


@pytest.mark.browser
@NEEDS_CHROMIUM
@pytest.mark.parametrize(("width", "height"), [(1440, 1000), (390, 844)])
def test_the_note_is_seen_and_announced_before_any_answer(chromium, picture, width, height):
    worker, settings = HeldBack(), Settings()
    demo = build(worker, settings)
    _, url, _ = launch(demo, settings, prevent_thread_lock=True, quiet=True)
    try:
        with tab(chromium, width, height) as page:
            page.goto(url)
            give_picture(page, picture)
            region = page.locator("#outside [role=status]")
            region.wait_for(state="attached")
            page.evaluate("window.region = document.querySelector('#outside [role=status]')")
            ask_in(page, OUTSIDE)
            region.get_by_text("does not know the word “mood”").wait_for()
            page.wait_for_function(IN_VIEW)
            assert page.evaluate("window.region.isConnected"), "a reader follows what it knows"
            assert not any(page.locator(".lane .answer").all_inner_texts())
            note, lane = region.bounding_box(), page.locator(".lane").first.bounding_box()
            assert note["y"] + note["height"] <= lane["y"]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            worker.told.set()
            page.locator("#figures table").wait_for()
            assert "mood" in region.inner_text(), "it stays beside the answers"
            ask_in(page, QUESTION)
            page.wait_for_function("window.region.innerText === ''")
    finally:
        worker.told.set()
        demo.close()


IN_VIEW = """() => {
  const { top, bottom } = window.region.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}"""


def ask_in(page, question) -> None:
    page.locator("#question textarea").fill(question)
    page.locator("#compare").click()
