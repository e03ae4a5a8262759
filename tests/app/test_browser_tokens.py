"""The page in Chromium: the overlay is that of the files, and a token is followed in all lanes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app.page.pictures import LONG_SIDE
from app.render.overlay import overlay
from models.uploads.read import read_media
from tests.app import factory
from tests.app.browser import (
    compare,
    served,
    show,
    tab,
    upload_clip,
    upload_picture,
    wait_for_overlays,
)
from tests.app.fake_worker import FakeWorker, trace_of

DRAWN = "(index) => document.querySelectorAll('#lanes canvas')[index].toDataURL()"
NOTES = "() => [...document.querySelectorAll('#lanes .fate')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def url():
    with served(FakeWorker()) as address:
        yield address


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "ball.png"
    Image.fromarray(factory.picture(320, 240)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def compared(chromium, url, picture):
    """One comparison for all tests."""
    with tab(chromium) as page:
        page.goto(url)
        upload_picture(page, picture)
        compare(page, "Where is the ball?")  # opens on boxes
        yield page


@pytest.fixture
def page(compared):
    """The comparison with the view of tokens, no token followed and no large view."""
    compared.keyboard.press("Escape")
    compared.keyboard.press("Escape")
    show(compared, "Tokens", "tokens")
    return compared


def hover(page, lane, x, y):
    plate = page.locator("#lanes .plate").nth(lane)
    plate.scroll_into_view_if_needed()
    box = plate.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_the_browser_draws_the_overlay_of_the_files(page, picture):
    """But for JPEG and the rims of markers, pixel by pixel."""
    frame = read_media(picture, 1).frames[0]
    for lane, name in enumerate(("vanilla", "visionzip", "nuwa")):
        url = page.evaluate(DRAWN, lane)
        seen = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")
        wanted = overlay(frame, trace_of(name, frame), size=LONG_SIDE)
        assert seen.size == wanted.size
        apart = np.abs(np.asarray(seen, int) - np.asarray(wanted, int)).max(axis=2)
        assert np.median(apart) < 6 and (apart > 40).mean() < 0.01


def test_a_token_under_the_pointer_is_answered_in_every_lane_without_the_server(page):
    requests = []
    page.on("request", lambda one: requests.append(one.url))
    hover(page, 1, 0.31, 0.52)
    notes = page.evaluate(NOTES)
    assert notes[0] == "Kept." and len(notes) == 4
    assert all(note.startswith(("Kept", "Merged into", "Dropped")) for note in notes)
    assert "rank" in notes[1]
    assert page.locator("#lanes .plate svg path").count() >= 4 * 3
    print(f"all lanes answered in {page.evaluate('window.tokenscope.followed.took')} ms")
    hover(page, 1, 0.31, -0.5)
    assert not any(page.evaluate(NOTES))
    assert not [one for one in requests if "/queue/" in one or "/run/" in one]


def test_the_layer_slider_runs_through_the_staircase(page):
    legends = page.locator("#lanes figcaption")
    at_end = legends.all_inner_texts()
    slider = page.locator("#layer input")
    slider.focus()
    slider.press("Home")
    page.wait_for_function(
        "(text) => document.querySelectorAll('#lanes figcaption')[2].innerText !== text",
        arg=at_end[2],
    )
    assert page.locator("#layer output").inner_text() == "LLM layer 0 of 31"
    assert "kept 112 of 576" in legends.nth(2).inner_text() and "kept 16 of 576" in at_end[2]
    slider.press("End")
    assert legends.all_inner_texts() == at_end


def test_keys_follow_a_token_and_lead_through_the_large_view(page):
    page.locator("#lanes .plate").nth(2).focus()
    page.keyboard.press("ArrowRight")
    first = page.evaluate(NOTES)
    page.keyboard.press("ArrowRight")
    assert all(first) and page.evaluate(NOTES) != first
    assert page.locator("#followed").inner_text().startswith("Vanilla: Kept.")
    page.keyboard.press("Enter")
    title = page.locator("dialog.large h2")
    assert title.inner_text() == "Nüwa"
    assert page.locator("dialog .fate").inner_text() == page.evaluate(NOTES)[2]
    page.keyboard.press("ArrowLeft")
    assert title.inner_text() == "VisionZip"
    page.keyboard.press("ArrowDown")
    assert page.locator("dialog .layer output").inner_text() == "LLM layer 30 of 31"
    wide = page.locator("dialog canvas").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("dialog canvas").bounding_box()["width"] > 1.2 * wide
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.closest('.plate') !== null")
    page.keyboard.press("Escape")
    assert not any(page.evaluate(NOTES))


def test_scores_are_a_map_and_a_lane_without_scores_says_so(page):
    show(page, "What it looked at", "scores")
    legends = page.locator("#lanes figcaption").all_inner_texts()
    assert legends[0].startswith("no scores: ") and legends[1].startswith("bright: high score")
    show(page, "Boxes", "boxes")
    page.locator("#lanes .plate").first.click()
    page.locator("dialog.large").wait_for()
    page.keyboard.press("Escape")
    show(page, "Tokens", "tokens")


def test_a_token_of_a_clip_lights_its_tree_in_all_frames(chromium, url, clip):
    with tab(chromium) as page:
        page.goto(url)
        upload_clip(page, clip)
        compare(page, "Which way does the ball roll?")
        show(page, "Tokens", "tokens")
        wait_for_overlays(page, 4 * 12)
        hover(page, 12 + 2, 0.3, 0.3)
        assert all(page.evaluate(NOTES))
        tree = page.locator("#lanes figure").nth(1).locator(".plate:has(svg path)")
        assert tree.count() == 12
