"""The state of the page in Chromium: first view, outdated boards, refusals, restored ones."""

from __future__ import annotations

import base64
import urllib.request
from pathlib import Path

import pytest

from app.example_uploads import stories
from app.page.lanes import Lane, lane_text
from app.page.opening import story
from app.render.headline import headline
from tests.app.browser import (
    await_story,
    choose_example,
    compare,
    reload,
    served,
    show,
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


def test_the_first_view_is_a_recorded_story_and_its_form_fits_a_small_screen(chromium, url):
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        told = story().comparison
        typical = next(s["typical"] for s in stories().values() if s["question"] == told.question)
        assert page.locator("#headline p").all_inner_texts() == [headline(told), typical]
        assert page.locator(".caption .asked").inner_text() == told.question
        assert "Recorded on 20" in page.locator(".caption .facts").inner_text()
        assert page.locator(".lane[data-phase=done]").count() == len(told.lanes)
        assert page.locator("#question textarea").input_value() == told.question
        assert not is_outdated(page) and "id=" not in page.url
        for part in ("#picture img", "#question textarea", "#retention", ".short", "#compare"):
            box = page.locator(part).first.bounding_box()
            assert box["y"] + box["height"] <= 720, part
        groups = page.locator("#methods .short [role=group]")
        assert groups.count() == 4 and groups.nth(3).bounding_box()["y"] < 720


def test_the_page_is_sent_compressed(url):
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < 150_000


def test_view_layer_and_tools_share_a_row_and_a_long_answer_is_cut(chromium, url):
    words = Lane("nuwa", "Nüwa", 0.1, phase="done", answer="red " * 100)
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        show(page, "Tokens", "tokens")
        page.locator("#layer input").wait_for()
        page.locator("#analyse").wait_for()
        tops = page.locator("#view, #layer, #tools").evaluate_all(
            "(parts) => parts.map((one) => one.getBoundingClientRect().top)"
        )
        assert max(tops) - min(tops) < 20
        page.locator(".lane").nth(2).evaluate(
            "(one, html) => one.outerHTML = html", lane_text(words)
        )
        answer = page.locator(".lane .answer").nth(2)
        assert answer.bounding_box()["height"] < 160 < answer.evaluate("(one) => one.scrollHeight")
        page.get_by_text("Show the whole answer").click()
        assert answer.bounding_box()["height"] > 200


def test_the_list_of_all_methods_is_filtered_and_stays_open_while_methods_are_chosen(chromium, url):
    with tab(chromium, 1280, 720) as page:
        page.goto(url)
        await_story(page)
        chip, listed = page.locator("#methods .short"), page.locator("#all-methods")
        page.locator("#methods .all").press("Enter")
        listed.locator("input").press_sequentially("FastV")
        assert listed.locator("[data-name]:visible").count() == 2
        listed.locator("[data-name=fastv]").click()
        page.get_by_text("3 methods fit; clear one").wait_for()
        assert chip.locator("[data-name=fastv]").get_attribute("aria-pressed") == "false"
        listed.locator("input").fill("")
        listed.locator("[data-name=pooling]").click()
        page.get_by_text("2 of 3 chosen").first.wait_for()
        listed.locator("[data-name=pyramiddrop]").press("Enter")  # out of reach: it sets the ratio
        page.locator("#retention-note").get_by_text("145", exact=True).wait_for()
        assert page.evaluate("document.activeElement.dataset.name") == "pyramiddrop"
        listed.press("Escape")
        listed.wait_for(state="hidden")


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
        reload(page)
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


# Drops a file, whose bytes come in base64, on the caption.
DROP = """async ([name, content]) => {
  const bytes = await (await fetch("data:application/zip;base64," + content)).blob();
  const data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const target = document.querySelector("#caption");
  target.dispatchEvent(new DragEvent("drop", {bubbles: true, dataTransfer: data}));
}"""


def drop(page, name, content) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def test_a_downloaded_recording_that_is_dropped_on_another_page_shows_the_same(chromium, url):
    with tab(chromium) as page, tab(chromium, bypass_csp=True) as other:
        page.goto(url)
        choose_example(page)
        compare(page, ASKED)
        with page.expect_download() as download:
            page.locator("#save").click()
        content = Path(download.value.path()).read_bytes()
        other.goto(url)
        await_story(other)
        other.locator("#question textarea").fill("Changed?")
        other.locator("#stale").wait_for()
        drop(other, "page.zip", b"PK nothing")
        other.locator("#status").get_by_text("page.zip is no zip file").wait_for()
        assert other.locator(".caption .asked").inner_text() == story().comparison.question
        assert is_outdated(other) and "id=" not in other.url
        drop(other, "mine.zip", content)
        other.locator(".caption .recorded").get_by_text("Opened from a file").wait_for()
        wait_for_view(other, "boxes")
        for part in ("#headline", "#lanes", "#figures"):
            assert other.locator(part).inner_text() == page.locator(part).inner_text()
        assert lane_data(other) == lane_data(page)
        other.locator("#stale").wait_for(state="hidden")
        assert other.locator("#question textarea").input_value() == ASKED
        reload(other)  # its address opens it as long as it is held
        other.locator(".caption .recorded").get_by_text("Opened from a file").wait_for()


def lane_data(page) -> list[str]:
    """What the browser draws of each lane: token maps, boxes and scores."""
    return page.locator("#lanes figure").evaluate_all("all => all.map(one => one.dataset.lane)")


def test_two_tabs_of_one_browser_do_not_mix(chromium, url):
    with tab(chromium) as page:
        other = page.context.new_page()
        for one, asked in ((page, ASKED), (other, "What is on the left?")):
            one.goto(url)
            choose_example(one)
            unfold(one)
            one.locator("#question textarea").fill(asked)
        before = page.url, other.url
        page.locator("#compare").click()
        other.locator("#compare").click()
        for one, url_before in zip((page, other), before, strict=True):
            one.wait_for_function("(url) => location.href !== url", arg=url_before)
        assert page.locator(".caption .asked").inner_text() == ASKED
        assert other.locator(".caption .asked").inner_text() == "What is on the left?"
        assert page.url != other.url
        assert page.locator("#history button").count() == 0, "each tab has its own history"
        reload(page)
        page.locator(".caption .asked").get_by_text(ASKED).wait_for()


def test_an_address_that_is_gone_brings_the_story_and_a_sentence(chromium, url):
    with tab(chromium) as page:
        page.goto(f"{url}?id=nowhere")
        await_story(page)
        assert "no longer held" in page.locator("#status").inner_text()
        assert "id=" not in page.url
