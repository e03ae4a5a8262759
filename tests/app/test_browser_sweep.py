"""The Sweep and new scenes in Chromium."""

from __future__ import annotations

import pytest

from app.request import RATIOS
from tests.app.browser import (
    PATIENCE,
    await_story,
    choose_example,
    compare,
    launched,
    served,
    tab,
    unfold,
)
from tests.app.fake_worker import FakeWorker

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def worker():
    return FakeWorker(answer=lambda name: "yes" if name == "nuwa" else "no", failing=("pooling",))


@pytest.fixture(scope="module")
def page(worker):
    with served(worker) as url, launched() as chromium, tab(chromium) as page:
        page.goto(url)
        await_story(page)
        yield page


def test_a_sweep_shows_every_method_at_every_ratio_and_where_it_breaks(page, worker):
    choose_example(page)
    page.locator("#question textarea").fill("Is there an orange sign in the picture?")  # no
    page.locator("#sweep-start").click()
    page.locator("#sweep-words li").first.wait_for()
    assert page.locator("#sweep-words li").all_inner_texts() == [
        "With all visual tokens, vanilla is right.",
        "VisionZip holds at every ratio, down to 5.6 %.",
        "Nüwa is wrong already at 50 %.",
        "Average pooling: It fell over. Ask for a larger ratio.",
    ]
    cells = page.locator(".sweep-cells li")
    assert cells.count() == 1 + 3 * len(RATIOS) == len(worker.jobs[-1].methods) and (
        page.locator(".sweep-cells li[data-verdict=right] img").count() == 1 + len(RATIOS)
    )
    assert page.locator(".sweep-cells li[data-verdict=refused] img").count() == 0
    page.locator("#sweep-chart svg.marks").wait_for()
    assert page.locator("#sweep-chart svg.marks").bounding_box()["width"] > 300
    assert page.locator("#compare").is_enabled() and page.locator("#stop").is_disabled()


def test_the_snippets_of_the_api_page_run_as_they_are_pasted(page, worker, capsys):
    """In a context of its own: the API page asks for routes that are closed here."""
    context = page.context.browser.new_context()
    other = context.new_page()
    other.set_default_timeout(1000 * PATIENCE)
    other.goto(page.url)
    other.get_by_text("Use via API").click()
    snippets = other.locator("pre:has-text('Client(')")
    snippets.first.wait_for()
    for key, snippet in zip(("headline", "sentences"), snippets.all_inner_texts(), strict=True):
        exec(snippet, {})
        assert f"'{key}': " in capsys.readouterr().out and worker.jobs[-1].drawn
    context.close()


def test_a_new_scene_comes_with_a_question_whose_answer_is_known(page, worker):
    before = page.locator("#picture img").get_attribute("src")
    page.locator("#new-image").click()
    page.wait_for_function(
        "src => document.querySelector('#picture img')?.src.endsWith(src) === false",
        arg=before,
    )
    page.locator("#chips").get_by_role("button").first.wait_for()
    compare(page)
    job = worker.jobs[-1]
    assert job.drawn and job.truth.box is not None
    assert page.locator("#outside").inner_text() == ""


def test_a_photograph_has_a_note_above_the_lanes(page, worker):
    unfold(page)
    page.locator("#photographs").get_by_role("button").first.click()
    page.locator("#photographs .gallery-item, #photographs .thumbnail-item").first.click()
    page.wait_for_function("document.querySelector('#question textarea').value.includes('the cat')")
    page.locator("#compare").click()
    note = page.locator("#outside")
    note.get_by_text("The tokens are real; do not trust the answers.").wait_for()
    assert note.bounding_box()["height"] < 40, "one line"
    note.get_by_text("More").click()
    note.get_by_text("make demo").wait_for()
    assert not worker.jobs[-1].drawn
