"""The page in a real Chromium, whose server forgets its session again and again."""

from __future__ import annotations

import pytest

from app.page.build import build, launch
from app.settings import Settings
from tests.app.browser import NEEDS_CHROMIUM, tab
from tests.app.fake_worker import FakeWorker, wait_until

pytestmark = [pytest.mark.browser, NEEDS_CHROMIUM]


def test_a_page_whose_session_is_forgotten_at_every_step_goes_on(chromium):
    worker = FakeWorker()
    demo = build(worker, Settings())
    _, url, _ = launch(demo, Settings(), prevent_thread_lock=True, quiet=True)

    def forgotten():
        wait_until(lambda: not demo._queue.event_ids_to_events)
        demo.state_holder.session_data.clear()

    with tab(chromium) as shown:
        shown.goto(url)
        shown.locator("#kind [role=tab]").nth(1).click()
        shown.locator("#methods").get_by_text("FastVID", exact=False).first.wait_for()
        shown.locator("#clips button").first.click()
        chip = shown.locator("#chips button").nth(1)
        chip.wait_for()
        forgotten()
        chip.click()
        asked = "(asked) => document.querySelector('#question textarea').value === asked"
        shown.wait_for_function(asked, arg=chip.inner_text().strip())
        forgotten()
        shown.locator("#compare").click()
        shown.locator("#figures table").wait_for()
        assert worker.jobs[-1].media.kind == "video"
        forgotten()
        shown.get_by_role("combobox", name="Survivor").click()
        shown.get_by_role("option", name="All tokens").click(no_wait_after=True)
        shown.locator("#inspect-words").get_by_text("no longer held").wait_for()
        forgotten()
        shown.get_by_role("combobox", name="Model").click()
        shown.get_by_role("option", name="Embedded LLaVA", exact=True).click()
        shown.locator("#kind").get_by_role("tab", name="Image", selected=True).wait_for()
        forgotten()
        shown.locator("#way").get_by_role("tab", name="Lab").click()
        shown.locator("#lab-note dt").first.wait_for()
        shown.locator("#examples button").first.click()
        shown.locator("#picture img").wait_for()
        forgotten()
        shown.locator("#compare").click()
        wait_until(lambda: len(worker.jobs) == 2)
        assert worker.jobs[-1].media.kind == "image"
        assert worker.jobs[-1].methods[1].name == "visionzip.before+fastv.inner"
    demo.close()
