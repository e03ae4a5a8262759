"""The note on a question that the model was not trained on, on the page and in the API."""

from __future__ import annotations

import threading

from app.example_uploads import examples
from app.guard.visitors import Visitors
from app.page.admission import Admission
from app.page.api import Endpoint
from app.request import Request
from app.settings import EXAMPLES, Settings
from tests.app.asking import QUESTION, ask, ask_of_clip, handlers
from tests.app.browser import PATIENCE, await_story, served, tab, unfold
from tests.app.fake_worker import FakeWorker

OUTSIDE = "What is the mood of this picture?"


def test_the_note_comes_with_the_lanes_and_the_lanes_still_answer(picture):
    page = handlers(FakeWorker())
    _, first, *_, last = list(ask(page, picture, OUTSIDE))
    note = first[page.board.outside]
    assert "not drawn by this project" in note
    assert "does not know the word “mood”" in note and "Where is the red car?" in note
    assert last[page.board.outside] == note
    assert "A red ball lies" in last[page.board.parts["text0"]]


def test_the_model_for_clips_suggests_questions_about_clips(clip):
    page = handlers(FakeWorker())
    _, first, *_ = list(ask_of_clip(page, clip))
    assert "Which way does the car move?" in first[page.board.outside]


def test_a_known_question_has_no_note_and_a_refusal_leaves_the_note(picture):
    page = handlers(FakeWorker())
    _, first, *_ = ask(page, picture, QUESTION)
    assert "guesses" not in first[page.board.outside]
    _, refused = ask(page, picture, " ")
    assert page.board.outside not in refused, "a refusal leaves the board as it is"


def test_markup_in_the_note_stays_text(picture):
    page = handlers(FakeWorker())
    _, first, *_ = ask(page, picture, "<img src=x onerror=alert(1)> & more?")
    note = first[page.board.outside]
    assert "“img”" in note and "<img" not in note


def test_the_api_returns_the_note(picture):
    endpoint = Endpoint(Admission(FakeWorker(), Settings(), Visitors()))
    assert "“mood”" in endpoint.compare(Request(upload=picture, question=OUTSIDE))["note"]
    scene = EXAMPLES / examples()[0]["file"]
    assert endpoint.compare(Request(upload=scene, question=QUESTION))["note"] == ""


class HeldBack(FakeWorker):
    """Starts all lanes and waits for `go` before it sends more."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def _events(self, job):
        for index, event in enumerate(super()._events(job)):
            if index == len(job.methods):
                assert self.go.wait(PATIENCE)
            yield event


def test_the_note_is_seen_and_announced_before_any_answer(chromium):
    worker = HeldBack()
    with served(worker) as url:
        for width, height in ((1440, 1000), (390, 844)):
            worker.go.clear()
            with tab(chromium, width, height) as page:
                page.goto(url)
                await_story(page)
                check_note(page, worker, width)


def check_note(page, worker, width) -> None:
    unfold(page)  # a phone hides the form
    region = page.locator("#outside [role=status]")
    region.wait_for(state="attached")
    page.evaluate("window.region = document.querySelector('#outside [role=status]')")
    page.locator("#question textarea").fill(OUTSIDE)
    page.locator("#compare").click()
    region.get_by_text("does not know the word “mood”").wait_for()
    page.wait_for_function(IN_VIEW)
    assert page.evaluate("window.region.isConnected"), "a screen reader follows this element"
    assert not any(page.locator(".lane .answer").all_inner_texts())
    note, lane = region.bounding_box(), page.locator(".lane").first.bounding_box()
    assert note["y"] + note["height"] <= lane["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    worker.go.set()
    page.locator("#figures table").wait_for()
    assert "mood" in region.inner_text(), "it stays beside the answers"
    page.locator("#compare:enabled").wait_for()
    unfold(page)
    page.locator("#question textarea").fill(QUESTION)
    page.locator("#compare").click()
    page.wait_for_function("window.region.innerText === ''")


IN_VIEW = """() => {
  const { top, bottom } = window.region.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}"""
