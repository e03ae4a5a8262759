"""In a real Chromium: what a person or a model writes is text, and nothing it names is fetched."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from app.settings import Settings
from app.ui.build import build, launch
from tests.app.browser import NEEDS_CHROMIUM, give_picture, tab
from tests.app.fake_worker import FakeWorker

pytestmark = [pytest.mark.browser, NEEDS_CHROMIUM]

HOSTILE = (
    "<script>window.__hacked=1</script> <img src=http://evil.test/a.png onerror=window.__hacked=2> "
    "${window.__hacked=3} `${window.__hacked=4}` {{window.__hacked=5}} {{{window.__hacked=6}}} "
    "![x](http://evil.test/b.png) [y](javascript:window.__hacked=7) "
    "<svg onload=window.__hacked=8> <a href=javascript:window.__hacked=9>z</a> "
    "</article><iframe src=http://evil.test/c></iframe> &lt;script&gt;window.__hacked=10"
)
FILE = "<img src=x onerror=window.__hacked=11>${window.__hacked=12}.mp4"
HACKED = "window.__hacked === undefined ? 0 : window.__hacked"


@pytest.fixture(scope="module")
def served():
    """The page on a worker whose every answer, and one lane's failure, tries to act."""
    settings = Settings()
    worker = FakeWorker(lambda name: HOSTILE, failing=("nuwa",), reason=HOSTILE)
    demo = build(worker, settings)
    _, url, _ = launch(demo, settings, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


def test_prompts_answers_and_reasons_are_text_and_fetch_nothing(chromium, served, picture):
    with tab(chromium) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served)
        give_picture(page, picture)
        page.locator("#question textarea").fill(HOSTILE)
        page.locator("#compare").click()
        page.locator("#figures table").wait_for()
        answers = page.locator(".lane .answer").all_inner_texts()
        assert len(answers) == 4 and all("<script>window.__hacked=1" in one for one in answers)
        assert all("![x](http://evil.test/b.png)" in one for one in answers)
        assert page.locator("#board iframe, #board script, #board svg[onload]").count() == 0
        assert page.locator("a[href^='javascript'], img[src*='evil.test']").count() == 0

        assert page.evaluate(HACKED) == 0
        ours = urlsplit(served).netloc
        others = {urlsplit(one).netloc for one in asked if one.startswith(("http", "ws"))} - {ours}
        assert not others, "every request stays with the server of the page"


def test_a_files_name_is_text_too(chromium, served, tmp_path):
    (tmp_path / FILE).write_text("no clip")
    page = chromium.new_context().new_page()
    page.goto(served)
    page.locator("#kind [role=tab]").nth(1).click()
    page.locator("#clip input[type=file]").first.set_input_files(tmp_path / FILE)
    page.locator("#clip video").first.wait_for(state="attached")
    page.locator("#question textarea").fill("Where is the ball?")
    page.locator("#compare").click()
    said = page.locator("#status [role=alert]")
    said.wait_for()
    assert "is not a picture or a clip that can be read" in said.inner_text()
    assert page.evaluate(HACKED) == 0
    page.context.close()


def test_the_policy_stops_what_would_be_fetched_if_an_answer_ever_became_markup(chromium, served):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served)
    stopped = page.evaluate(
        """() => new Promise((done) => {
          const seen = [];
          addEventListener("securitypolicyviolation", (event) => {
            seen.push(event.effectiveDirective);
            if (seen.length === 2) done(seen.sort());
          });
          document.body.append(Object.assign(new Image(), { src: "http://evil.test/a.png" }));
          fetch("http://evil.test/b").catch(() => {});
        })"""
    )
    context.close()
    assert json.dumps(stopped) == '["connect-src", "img-src"]'
