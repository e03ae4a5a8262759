"""The page in Chromium: markup in questions, answers, labels and file names stays text."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.example_uploads import examples_of
from app.page import following, gallery
from tests.app.browser import PATIENCE, compare, served, show, tab, upload_clip, upload_picture
from tests.app.fake_worker import FakeWorker

pytestmark = pytest.mark.security

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
    """Puts markup into every answer, every lane's label and the reason of one failure."""

    def __init__(self) -> None:
        super().__init__(lambda name: HOSTILE, failing=("nuwa",), reason=HOSTILE)

    def _lane(self, method, job):
        return replace(super()._lane(method, job), title=HOSTILE)


def hostile_examples(kind: str) -> list[dict]:
    questions = [{"question": HOSTILE, "answer": HOSTILE, "box": None}]
    return [one | {"title": HOSTILE, "questions": questions} for one in examples_of(kind)]


@pytest.fixture(scope="module")
def url():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "examples_of", hostile_examples)
        patch.setattr(following, "examples_of", hostile_examples)
        with served(Hostile()) as address:
            yield address


@pytest.fixture(params=["light", "dark"])
def page(request, chromium, url):
    """The page in a tab; at the end no script has run, and no other host was asked.

    A request that the content security policy stops is an error in the console: the tab fails.
    """
    with tab(chromium, color_scheme=request.param) as page:
        requested = []
        page.on("request", lambda one: requested.append(one.url))
        page.goto(url)
        yield page
        assert page.evaluate(HACKED) == 0
        assert page.locator("a[href^='javascript'], img[src*='evil.test']").count() == 0
        assert page.locator("#board iframe, #board script, #board svg[onload]").count() == 0
        hosts = {urlsplit(one).netloc for one in requested if one.startswith(("http", "ws"))}
        assert hosts == {urlsplit(url).netloc}, "every request stays with the server of the page"


def test_questions_answers_reasons_and_labels_are_text_and_fetch_nothing(page, picture):
    upload_picture(page, picture)
    compare(page, HOSTILE)
    for part in (".lane .answer", ".lane h2", "#figures tbody th"):
        texts = page.locator(part).all_inner_texts()
        assert len(texts) == 4 and all("<script>window.__hacked=1" in text for text in texts)
        assert all("![x](http://evil.test/b.png)" in text for text in texts)
    page.locator("#latency .vega-embed").wait_for()
    show(page, "Tokens", "tokens", lanes=3)  # arrow keys follow a token; Nüwa has failed
    page.locator("#lanes .plate").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "<script>window.__hacked=1" in page.locator("dialog.large h2").inner_text()
    assert "<script>window.__hacked=1" in page.locator("#followed").inner_text()


def test_labels_in_the_charts_and_choices_of_a_clip_are_text(page, clip):
    upload_clip(page, clip)
    compare(page, "Where is the ball?")
    page.locator("#timeline .vega-embed").wait_for()
    page.locator("#inspect-lane input").click()
    page.locator("[role=listbox]").get_by_text("<script>").first.wait_for()


def test_an_examples_label_and_question_are_text(page):
    gallery = page.locator("#examples")
    gallery.locator("button").first.wait_for()
    assert "<script>window.__hacked=1" in gallery.locator("button").first.get_attribute("title")
    gallery.locator("button").first.click()
    page.locator("#picture img").wait_for()
    page.locator("#chips button").first.wait_for()
    assert "<script>window.__hacked=1" in page.locator("#chips").text_content()


def test_a_pictures_file_name_is_text(page, picture, tmp_path):
    named = tmp_path / f"{NAME}.png"
    named.write_bytes(Path(picture).read_bytes())
    upload_picture(page, named)
    compare(page, "Where is the ball?")


def test_the_file_name_of_a_broken_clip_is_text(chromium, url, tmp_path):
    """Outside the strict tab: the browser itself reports that it cannot play the clip."""
    (tmp_path / f"{NAME}.mp4").write_text("no clip")
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(url)
        upload_clip(page, tmp_path / f"{NAME}.mp4")
        page.locator("#question textarea").fill("Where is the ball?")
        page.locator("#compare").click()
        alert = page.locator("#status [role=alert]")
        alert.get_by_text("is not a supported picture or clip").wait_for()
        assert page.evaluate(HACKED) == 0


# Every tag has its own host, so that the report of a violation names the tag.
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
  while (Object.keys(seen).length < 10 && Date.now() - start < 200_000)
    await new Promise((next) => setTimeout(next, 50));
  return seen;
}"""


def test_the_content_security_policy_stops_every_fetch_of_markup_in_an_answer(chromium, url):
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(url, timeout=1000 * PATIENCE)
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
