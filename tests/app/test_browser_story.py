"""The state of the page in Chromium: first view, outdated boards, refusals, restored ones."""

from __future__ import annotations

import pytest

from app.page.opening import story
from app.render.headline import headline
from tests.app.browser import (
    await_story,
    choose_example,
    compare,
    served,
    tab,
    unfold,
    wait_for_view,
)
from tests.app.fake_worker import FakeWorker

ASKED = "Where is the red ball?"


@pytest.fixture(scope="module")
def url():
    with served(FakeWorker()) as address:
        yield address


def is_outdated(page) -> bool:
    return page.locator("#stale").is_visible()


def test_the_first_view_is_a_recorded_story_and_its_form(chromium, url):
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        told = story().comparison
        assert page.locator("#headline").inner_text() == headline(told)
        assert page.locator(".caption .asked").inner_text() == told.question
        assert "Recorded on 20" in page.locator(".caption .facts").inner_text()
        assert page.locator(".lane[data-phase=done]").count() == len(told.lanes)
        assert page.locator("#question textarea").input_value() == told.question
        assert not is_outdated(page) and "id=" not in page.url


def test_a_changed_form_marks_the_board_until_compare(chromium, url):
    with tab(chromium) as page:
        page.goto(url)
        await_story(page)
        question = page.locator("#question textarea")
        question.fill(ASKED)
        page.locator("#stale").wait_for()
        question.fill(story().comparison.question)
        page.locator("#stale").wait_for(state="hidden")
        compare(page, ASKED)
        assert page.locator(".caption .asked").inner_text() == ASKED
        page.locator("#stale").wait_for(state="hidden")


def test_a_refusal_keeps_the_board(chromium, url):
    with tab(chromium) as page:
        page.goto(url)
        choose_example(page)
        compare(page, ASKED)
        wait_for_view(page, "boxes")
        shown = page.locator("#lanes").inner_text()
        unfold(page)
        page.locator("#question textarea").fill(" ")
        page.locator("#compare").click()
        page.locator("#status").get_by_text("question is empty").wait_for()
        assert page.locator("#lanes").inner_text() == shown
        assert is_outdated(page)


def test_a_refresh_and_a_thumbnail_bring_a_comparison_back_with_its_form(chromium, url):
    with tab(chromium) as page, tab(chromium) as other:
        page.goto(url)
        choose_example(page)
        compare(page, ASKED)
        compare(page, "What is on the left?")
        page.reload()
        page.locator(".caption .asked").get_by_text("What is on the left?").wait_for()
        page.locator("#history button").nth(1).click()
        page.locator(".caption .asked").get_by_text(ASKED).wait_for()
        page.wait_for_function(
            "(text) => document.querySelector('#question textarea').value === text", arg=ASKED
        )
        assert not is_outdated(page)
        other.goto(page.url)  # the address opens it elsewhere, without this tab's history
        other.locator(".caption .asked").get_by_text(ASKED).wait_for()
        assert other.locator("#history button").count() == 0


def test_an_address_that_is_gone_brings_the_story_and_a_sentence(chromium, url):
    with tab(chromium) as page:
        page.goto(f"{url}?id=nowhere")
        await_story(page)
        assert "no longer held" in page.locator("#status").inner_text()
        assert "id=" not in page.url
