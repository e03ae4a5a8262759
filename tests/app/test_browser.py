"""The page in a real Chromium: two clicks to four answers, on a phone too, and nothing executes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from app.page.build import build, launch
from app.settings import ROOT, Settings
from models.catalog import find
from tests.app.browser import NEEDS_CHROMIUM, give_picture, tab
from tests.app.fake_worker import FakeWorker

HOSTILE = (
    "<script>window.hit=1</script> <img src=x onerror=window.hit=1> ${window.hit=1} "
    "{{constructor}} ![x](http://evil.test/x.png)"
)
WEIGHTS = ROOT / find(Settings.model).source
pytestmark = [pytest.mark.browser, NEEDS_CHROMIUM]
needs_model = pytest.mark.skipif(
    not any(Path(WEIGHTS).glob("*.safetensors")), reason="the embedded model has no weights here"
)


@pytest.fixture(scope="module")
def served():
    """The page on the embedded model, in a process of its own."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(240):
            assert server.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(url, timeout=2)
                break
            except OSError:
                time.sleep(0.25)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def hostile():
    """The page on a worker whose every answer tries to act."""
    settings = Settings()
    demo = build(FakeWorker(answer=lambda name: HOSTILE), settings)
    _, url, _ = launch(demo, settings, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


def compare(page, url) -> None:
    """An example, then Compare: two clicks."""
    page.goto(url)
    page.locator("#examples button").first.click()
    page.wait_for_function("document.querySelector('#question textarea').value.length > 0")
    page.locator("#compare").click()
    page.wait_for_function("document.querySelectorAll('.lane[data-phase=done]').length === 4")
    page.locator("#figures table").wait_for()


def choose(page, label, option) -> None:
    """Open a selector by its label and take an option of its list."""
    selector = page.get_by_role("combobox", name=label)
    selector.click()
    options = page.locator("#" + selector.get_attribute("aria-controls"))  # others may still fade
    options.get_by_role("option", name=option, exact=True).click()
    assert selector.input_value() == option


def overlays(page) -> int:
    """Pictures of the chosen view that are on the page and have arrived."""
    return page.evaluate(
        "[...document.querySelectorAll('.pictures img')]"
        ".filter((one) => one.offsetParent && one.complete && one.naturalWidth > 100).length"
    )


@needs_model
def test_two_clicks_bring_four_answers_and_four_overlays(chromium, served):
    with tab(chromium) as page:
        compare(page, served)
        answers = page.locator(".lane .answer").all_inner_texts()
        assert len(answers) == 4 and all(answer.strip() for answer in answers)
        assert overlays(page) == 4
        assert page.locator("#latency svg, #latency canvas").count()
        assert page.locator("#staircase svg, #staircase canvas").count()
        page.locator("#view").get_by_text("Boxes").click()
        assert page.locator(".pictures > .view.boxes:visible").count() == 4 and overlays(page) == 4
        assert page.locator("figcaption > .view.boxes:visible").count() == 4
        assert page.locator("figcaption > .view.tokens:visible").count() == 0


@needs_model
def test_a_phone_scrolls_one_way_only(chromium, served):
    with tab(chromium, 390, 844) as page:
        compare(page, served)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [lane.bounding_box() for lane in page.locator(".lane").all()]
        assert len({round(box["x"]) for box in boxes}) == 1, "lanes stand below each other"
        stop = page.locator("#stop").bounding_box()
        assert 0 <= stop["y"] < 844 - stop["height"], "Stop is in reach while lanes are read"
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        save = page.locator("#save").bounding_box()
        assert save["y"] + save["height"] <= page.locator("#act").bounding_box()["y"]


@needs_model
@pytest.mark.parametrize("width", [1440, 390])
def test_lanes_composed_in_the_lab_are_compared_like_methods(chromium, served, width):
    with tab(chromium, width) as page:
        page.goto(served)
        page.locator("#examples button").first.click()
        page.wait_for_function("document.querySelector('#question textarea').value.length > 0")
        page.locator("#way").get_by_role("tab", name="Lab").click()
        choose(page, "Lane 2: before the LLM", "Average pooling")
        choose(page, "Lane 3: before the LLM", "Nothing")
        choose(page, "Lane 3: inside it", "Nothing")
        page.locator("#compare").click()
        page.wait_for_function("document.querySelectorAll('.lane[data-phase=done]').length === 3")
        page.locator("#figures table").wait_for()
        titles = page.locator("#figures tbody th").all_inner_texts()
        assert titles == [
            "Vanilla",
            "VisionZip before + FastV inside",
            "Average pooling before + FastV inside, RPME",
        ]
        assert overlays(page) == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@needs_model
def test_escape_stops_and_enter_compares(chromium, served):
    with tab(chromium) as page:
        page.goto(served)
        page.locator("#examples button").first.click()
        page.wait_for_function("document.querySelector('#question textarea').value.length > 0")
        page.locator("#question textarea").press("Enter")
        page.locator(".lane").first.wait_for()
        page.keyboard.press("Escape")
        page.wait_for_function("!document.querySelector('#compare').disabled")
        page.locator("#question textarea").press("Enter")
        page.locator("#figures table").wait_for()


def test_an_answer_that_tries_to_act_is_shown_as_text(chromium, hostile, picture):
    with tab(chromium) as page:
        page.goto(hostile)
        give_picture(page, picture)
        page.locator("#question textarea").fill("Where is the red ball?")
        page.locator("#compare").click()
        page.locator("#figures table").wait_for()
        answers = page.locator(".lane .answer").all_inner_texts()
        assert all("<script>window.hit=1</script>" in answer for answer in answers)
        assert all("${window.hit=1}" in answer for answer in answers)
        assert page.evaluate("window.hit === undefined")
        assert page.locator("img[src*='evil.test']").count() == 0


def test_a_clip_is_uploaded_and_its_frames_come_with_overlays_and_trees(chromium, hostile, clip):
    with tab(chromium) as page:
        page.goto(hostile)
        page.locator("#kind [role=tab]").nth(1).click()
        page.locator("#clip input[type=file]").first.set_input_files(clip)
        page.locator("#clip video").first.wait_for()
        page.locator("#methods").get_by_text("FastVID", exact=False).first.wait_for()
        page.locator("#question textarea").fill("Which way does the ball roll?")
        page.locator("#compare").click()
        page.locator("#figures table").wait_for()
        assert page.locator(".strip:visible").count() == 4 and overlays(page) == 4 * 8
        times = page.locator(".strip:visible").first.locator("b").all_inner_texts()
        assert times[0] == "0.00 s" and times[-1] == "0.92 s"
        assert page.locator("#timeline svg, #timeline canvas").count()
        tree = page.locator("#inspect-picture img").first
        tree.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#inspect-picture img').naturalWidth > 800")
        said = page.locator("#inspect-words").inner_text()
        box = tree.bounding_box()
        page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
        page.wait_for_function(
            "(said) => document.querySelector('#inspect-words').innerText !== said", arg=said
        )
        with page.expect_download() as saved:
            page.locator("#save-clip").click()
        assert saved.value.suggested_filename == "overlay-flashvid.mp4"
        page.locator("#view").get_by_text("Boxes").click()
        assert page.locator(".pictures > .view.boxes img:visible").count() == 4


def test_a_refused_request_says_why_and_nothing_else_changes(chromium, hostile):
    with tab(chromium) as page:
        page.goto(hostile)
        page.locator("#compare").click()
        assert "question is empty" in page.locator("#status [role=alert]").inner_text()
        assert page.locator("#empty h2").is_visible()


def test_a_number_typed_out_of_range_is_no_server_error(chromium, hostile):
    with tab(chromium) as page:
        page.goto(hostile)
        ratio = page.locator("#retention input[type=number]")
        ratio.fill("7")
        page.locator("#retention-note").get_by_text("at most 1").wait_for()
        ratio.fill("0.5")
        page.locator("#retention-note").get_by_text("visual tokens").wait_for()


def test_everything_can_be_reached_by_tab_and_the_theme_switches(chromium, hostile):
    with tab(chromium) as page:
        page.goto(hostile)
        page.locator("#compare").wait_for()
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.closest('[id]')?.id"))
        assert {"compare", "theme"} <= reached
        page.locator("#theme").click()
        assert page.evaluate("document.body.classList.contains('dark')")
