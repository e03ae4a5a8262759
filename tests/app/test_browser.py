"""The page in Chromium: two clicks to four answers, also on a phone and after lost sessions."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from app.example_uploads import examples, stories
from app.page.build import build, launch
from app.settings import ROOT, Settings
from models.catalog import find
from tests.app.browser import (
    PATIENCE,
    await_story,
    choose_example,
    compare,
    reload,
    served,
    show,
    tab,
    unfold,
    upload_clip,
    wait_for_overlays,
)
from tests.app.fake_worker import FakeWorker, wait_until

WEIGHTS = ROOT / find(Settings.model).source
needs_model = pytest.mark.skipif(
    not any(Path(WEIGHTS).glob("*.safetensors")), reason="the embedded model has no weights here"
)


@pytest.fixture(scope="module")
def demo_url():
    """The page on the embedded model, in a separate process."""
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

    def answers():
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, PATIENCE)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def url():
    with served(FakeWorker()) as address:
        yield address


def select(page, label, option) -> None:
    """Open a selector by its label and choose an option of its list."""
    selector = page.get_by_role("combobox", name=label)
    selector.click()
    options = page.locator("#" + selector.get_attribute("aria-controls"))  # others may still fade
    options.get_by_role("option", name=option, exact=True).click()
    page.wait_for_function(
        "([name, value]) => document.querySelector(`[aria-label='${name}']`)?.value === value",
        arg=[selector.get_attribute("aria-label"), option],
    )


def boxed_example() -> int:
    """The first example that shows a question for a box, other than the page's first view."""
    shown = [story["question"] for story in stories().values()]
    boxed = [
        any(known["question"] == asked and known["box"] for known in example["questions"])
        for asked, example in zip(shown, examples(), strict=True)
    ]
    return boxed.index(True)


@needs_model
def test_two_clicks_bring_four_answers_and_four_overlays(chromium, demo_url):
    with tab(chromium) as page:
        page.goto(demo_url)
        choose_example(page, boxed_example())
        compare(page)
        assert page.locator(".lane[data-phase=done]").count() == 4
        assert all(text.strip() for text in page.locator(".lane .answer").all_inner_texts())
        wait_for_overlays(page, 4)
        for chart in ("latency", "staircase"):
            page.locator(f"#{chart} .vega-embed").wait_for()
        page.locator("figcaption").get_by_text("true box").nth(3).wait_for()
        show(page, "Tokens", "tokens")
        wait_for_overlays(page, 4)


@needs_model
def test_a_phone_scrolls_one_way_only(chromium, demo_url):
    with tab(chromium, 390, 844) as page:
        page.goto(demo_url)
        await_story(page)
        page.locator("#lanes canvas").first.wait_for()  # a story, and no form above it
        assert page.locator("#lanes").bounding_box()["y"] < 844
        choose_example(page)
        compare(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.documentElement.scrollHeight") <= 2500
        boxes = [lane.bounding_box() for lane in page.locator(".lane").all()]
        assert sum(box["x"] + box["width"] <= 391 for box in boxes) == 2, "two; a swipe for others"
        stop = page.locator("#stop").bounding_box()
        assert 0 <= stop["y"] < 844 - stop["height"], "Stop is in reach while lanes are read"
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        save = page.locator("#save").bounding_box()
        assert save["y"] + save["height"] <= page.locator("#act").bounding_box()["y"]
        unfold(page)
        compare_lanes_of_the_lab(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@needs_model
def test_lanes_composed_in_the_lab_are_compared_like_methods(chromium, demo_url):
    with tab(chromium) as page:
        page.goto(demo_url)
        choose_example(page)
        compare_lanes_of_the_lab(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def compare_lanes_of_the_lab(page) -> None:
    page.locator("#way").get_by_role("tab", name="Lab").click()
    select(page, "Lane 2: before the LLM", "Average pooling")
    select(page, "Lane 3: before the LLM", "Nothing")
    select(page, "Lane 3: inside it", "Nothing")
    compare(page)
    assert page.locator("#figures tbody th").all_inner_texts() == [
        "Vanilla",
        "VisionZip before + FastV inside",
        "Average pooling before + FastV inside, RPME",
    ]
    wait_for_overlays(page, 3)


def test_escape_stops_and_enter_compares(chromium):
    worker = FakeWorker(pause=PATIENCE)  # between two events, or until the job is cancelled
    with served(worker) as url, tab(chromium) as page:
        page.goto(url)
        choose_example(page)
        question = page.locator("#question textarea")
        question.press("Enter")
        page.locator("#stop:enabled").wait_for()
        page.locator(".lane[data-phase=waiting]").nth(3).wait_for()
        page.keyboard.press("Escape")
        page.locator(".lane[data-phase=stopped]").nth(3).wait_for()
        assert worker.cancelled[0].is_set()
        worker.pause = 0
        page.locator("#compare:enabled").wait_for()
        unfold(page)
        question.press("Enter")
        page.locator("#figures table").wait_for()


def test_a_clip_brings_strips_a_timeline_and_trees_to_click(chromium, url, clip):
    with tab(chromium) as page:
        page.goto(url)
        upload_clip(page, clip)
        compare(page, "Which way does the ball roll?")
        assert page.locator(".strip:visible").count() == 4
        show(page, "Tokens", "tokens")
        wait_for_overlays(page, 4 * 12)
        times = page.locator(".strip:visible").first.locator("b").all_inner_texts()
        assert times[0] == "0.00 s" and times[-1] == "0.92 s"
        page.locator("#timeline .vega-embed").wait_for()
        tree = page.locator("#inspect-picture img").first
        tree.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#inspect-picture img').naturalWidth > 800")
        before = page.locator("#inspect-words").inner_text()
        box = tree.bounding_box()
        tree.click(position={"x": 0.05 * box["width"], "y": 0.5 * box["height"]})  # another tree
        page.wait_for_function(
            "(text) => document.querySelector('#inspect-words').innerText !== text", arg=before
        )
        with page.expect_download() as saved:
            page.locator("#save-clip").click()
        assert saved.value.suggested_filename == "overlay-flashvid.mp4"
        show(page, "Boxes", "boxes")
        wait_for_overlays(page, 4)  # the last frame of each lane


def test_a_number_typed_out_of_range_is_no_server_error(chromium, url):
    with tab(chromium) as page:
        page.goto(url)
        await_story(page)  # which fills the form
        ratio = page.locator("#retention input[type=number]")
        ratio.fill("7")
        page.locator("#retention-note").get_by_text("at most 1").wait_for()
        ratio.fill("0.5")
        page.locator("#retention-note").get_by_text("visual tokens").wait_for()


def test_everything_can_be_reached_by_tab_and_the_theme_stays_after_a_reload(chromium, url):
    with tab(chromium) as page:
        page.goto(url)
        page.locator("#compare").wait_for()
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.closest('[id]')?.id"))
        assert {"compare", "theme"} <= reached
        page.locator("#theme").click()
        page.wait_for_function("document.body.classList.contains('dark')")
        reload(page)
        page.locator("#compare").wait_for()  # Gradio has applied the system's theme
        page.wait_for_function("document.body.classList.contains('dark')")


def test_a_page_goes_on_whose_session_the_server_forgets_at_every_step(chromium):
    worker = FakeWorker()
    demo = build(worker, Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True)

    def forget():
        wait_until(lambda: not demo._queue.event_ids_to_events, PATIENCE)
        demo.state_holder.session_data.clear()

    with closing(demo), tab(chromium) as page:
        page.goto(url)
        await_story(page)
        page.locator("#kind [role=tab]").nth(1).click()
        page.locator("#methods").get_by_text("FastVID", exact=False).first.wait_for()
        page.locator("#clips button").first.click()
        chip = page.locator("#chips button").nth(1)
        chip.wait_for()
        forget()
        chip.click()
        page.wait_for_function(
            "(text) => document.querySelector('#question textarea').value === text",
            arg=chip.inner_text().strip(),
        )
        forget()
        compare(page)
        assert worker.jobs[-1].media.kind == "video"
        forget()
        page.get_by_role("combobox", name="Survivor").click()
        page.get_by_role("option", name="All tokens").click(no_wait_after=True)
        page.locator("#inspect-words").get_by_text("no finished comparison").wait_for()
        forget()
        unfold(page)
        page.get_by_role("combobox", name="Model").click()
        page.get_by_role("option", name="Drawn-scenes model").click()
        page.locator("#kind").get_by_role("tab", name="Image", selected=True).wait_for()
        forget()
        page.locator("#way").get_by_role("tab", name="Lab").click()
        page.locator("#lab-note dt").first.wait_for()
        page.locator("#examples button").first.click()
        page.locator("#picture img").wait_for()
        forget()
        page.locator("#compare").click()
        wait_until(lambda: len(worker.jobs) == 2, PATIENCE)
        assert worker.jobs[-1].media.kind == "image"
        assert worker.jobs[-1].methods[1].name == "visionzip.before+fastv.inner"
