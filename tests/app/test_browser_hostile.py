"""In a real Chromium: what a person or a model writes is text, and nothing it names is fetched."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.example_uploads import examples_of
from app.page import following, form
from app.page.build import build, launch
from app.settings import Settings
from tests.app.browser import NEEDS_CHROMIUM, give_picture, tab
from tests.app.fake_worker import FakeWorker

pytestmark = [pytest.mark.security, pytest.mark.browser, NEEDS_CHROMIUM]

HOSTILE = (
    "<script>window.__hacked=1</script> <img src=http://evil.test/a.png onerror=window.__hacked=2> "
    "${window.__hacked=3} `${window.__hacked=4}` {{window.__hacked=5}} {{{window.__hacked=6}}} "
    "![x](http://evil.test/b.png) [y](javascript:window.__hacked=7) "
    "<svg onload=window.__hacked=8> <a href=javascript:window.__hacked=9>z</a> "
    "</article><iframe src=http://evil.test/c></iframe> &lt;script&gt;window.__hacked=10"
)
NAME = "<img src=x onerror=window.__hacked=11>${window.__hacked=12}"
HACKED = "window.__hacked === undefined ? 0 : window.__hacked"


class Hostile(FakeWorker):
    """Every answer and every lane's label tries to act, and so does the reason of one failure."""

    def __init__(self) -> None:
        super().__init__(lambda name: HOSTILE, failing=("nuwa",), reason=HOSTILE)

    def _lane(self, method, job):
        return replace(super()._lane(method, job), title=HOSTILE)


def labelled(kind: str) -> list[dict]:
    """The examples under labels that try to act."""
    asked = [{"question": HOSTILE, "answer": HOSTILE, "box": None}]
    return [one | {"title": HOSTILE, "questions": asked} for one in examples_of(kind)]


@pytest.fixture(scope="module")
def served():
    settings = Settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(form, "examples_of", labelled)
        patch.setattr(following, "examples_of", labelled)
        demo = build(Hostile(), settings)
        _, url, _ = launch(demo, settings, prevent_thread_lock=True, quiet=True)
        yield url
        demo.close()


@pytest.fixture(params=["light", "dark"])
def watched(request, chromium, served):
    """The page in a tab; at the end nothing has acted, been fetched elsewhere or been stopped.

    What the policy stops is an error in the console, which the tab fails on.
    """
    with tab(chromium, color_scheme=request.param) as page:
        asked = []
        page.on("request", lambda one: asked.append(one.url))
        page.goto(served)
        yield page
        assert page.evaluate(HACKED) == 0
        assert page.locator("a[href^='javascript'], img[src*='evil.test']").count() == 0
        assert page.locator("#board iframe, #board script, #board svg[onload]").count() == 0
        ours = urlsplit(served).netloc
        others = {urlsplit(one).netloc for one in asked if one.startswith(("http", "ws"))} - {ours}
        assert not others, "every request stays with the server of the page"


def test_prompts_answers_reasons_and_labels_are_text_and_fetch_nothing(watched, picture):
    give_picture(watched, picture)
    watched.locator("#question textarea").fill(HOSTILE)
    watched.locator("#compare").click()
    watched.locator("#figures table").wait_for()
    for part in (".lane .answer", ".lane h2", "#figures tbody th"):
        said = watched.locator(part).all_inner_texts()
        assert len(said) == 4 and all("<script>window.__hacked=1" in one for one in said)
        assert all("![x](http://evil.test/b.png)" in one for one in said)
    watched.locator("#latency .vega-embed").wait_for()


def test_labels_in_the_charts_and_choices_of_a_clip_are_text(watched, clip):
    watched.locator("#kind [role=tab]").nth(1).click()
    watched.locator("#clip input[type=file]").first.set_input_files(clip)
    watched.locator("#clip video").first.wait_for(state="attached")
    watched.locator("#question textarea").fill("Where is the ball?")
    watched.locator("#compare").click()
    watched.locator("#figures table").wait_for()
    watched.locator("#timeline .vega-embed").wait_for()
    watched.locator("#inspect-lane input").click()
    assert "<script>" in watched.locator("[role=listbox]").inner_text()


def test_an_examples_label_and_question_are_text(watched):
    gallery = watched.locator("#examples")
    gallery.locator("button").first.wait_for()
    assert "<script>window.__hacked=1" in gallery.text_content()
    gallery.locator("button").first.click()
    watched.locator("#picture img").wait_for()
    watched.locator("#chips button").first.wait_for()
    assert "<script>window.__hacked=1" in watched.locator("#chips").text_content()


def test_a_pictures_file_name_is_text(watched, picture, tmp_path):
    named = tmp_path / f"{NAME}.png"
    named.write_bytes(Path(picture).read_bytes())
    give_picture(watched, named)
    watched.locator("#question textarea").fill("Where is the ball?")
    watched.locator("#compare").click()
    watched.locator("#figures table").wait_for()


def test_a_files_name_is_text_too(chromium, served, tmp_path):
    (tmp_path / f"{NAME}.mp4").write_text("no clip")
    page = chromium.new_context().new_page()
    page.goto(served)
    page.locator("#kind [role=tab]").nth(1).click()
    page.locator("#clip input[type=file]").first.set_input_files(tmp_path / f"{NAME}.mp4")
    page.locator("#clip video").first.wait_for(state="attached")
    page.locator("#question textarea").fill("Where is the ball?")
    page.locator("#compare").click()
    said = page.locator("#status [role=alert]")
    said.wait_for()
    assert "is not a supported picture or clip" in said.inner_text()
    assert page.evaluate(HACKED) == 0
    page.context.close()


# Each is of a host of its own, by which the browser's report tells them apart.
MARKUP = """
<img src="http://img.test/x"><video src="http://video.test/x"></video>
<iframe src="http://frame.test/x"></iframe><object data="http://object.test/x"></object>
<link rel="stylesheet" href="http://link.test/x">
<style>
  @import "http://import.test/x";
  @font-face { font-family: elsewhere; src: url(http://font.test/x) }
</style>
<p style="font-family: elsewhere; background: url(http://style.test/x)">text</p>
"""
STOPPED = """async (markup) => {
  const seen = {};
  addEventListener("securitypolicyviolation", (event) => {
    seen[new URL(event.blockedURI).hostname] = event.effectiveDirective;
  });
  document.body.insertAdjacentHTML("beforeend", markup);
  const script = document.createElement("script");
  script.src = "http://script.test/x";
  document.body.append(script);
  fetch("http://fetch.test/x").catch(() => {});
  const start = Date.now();
  while (Object.keys(seen).length < 10 && Date.now() - start < 5000)
    await new Promise((next) => setTimeout(next, 50));
  return seen;
}"""


def test_the_policy_stops_what_would_be_fetched_if_an_answer_ever_became_markup(chromium, served):
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(served)
        assert page.evaluate(STOPPED, MARKUP) == {
            "img.test": "img-src",
            "video.test": "media-src",
            "frame.test": "frame-src",
            "object.test": "object-src",
            "link.test": "style-src-elem",
            "import.test": "style-src-elem",
            "font.test": "font-src",
            "style.test": "img-src",
            "script.test": "script-src-elem",
            "fetch.test": "connect-src",
        }
