"""The pad of gaze in Chromium: it comes with GazeVLM, and budgets follow the clicks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.settings import Settings
from app.worker.events import ComparisonDone
from app.worker.job_queue import QueuedWorker
from app.worker.local import LocalWorker
from tests.app.browser import choose_example, compare, served, tab, unfold
from tests.app.test_browser import needs_model

POINTS = ((0.25, 0.2), (0.75, 0.8))


class Watched(LocalWorker):
    """A worker whose last comparison a test can look at."""

    def run(self, job, cancelled=None) -> Iterator:
        for event in super().run(job, cancelled):
            if isinstance(event, ComparisonDone):
                self.comparison = event.comparison
            yield event

    def near(self, x: float, y: float) -> float:
        """Share of GazeVLM's survivors within a fifth of the picture of a point."""
        trace = self.comparison["gazevlm"].trace
        box = trace.layout.box[trace.survivors]
        away = np.hypot(*((box[:, :2] + box[:, 2:]) / 2 - [x, y]).T)
        return float((away < 0.2).mean())


@needs_model
def test_two_clicks_or_the_mouse_s_trail_set_the_budgets_of_the_regions(chromium):
    worker = Watched(Settings())
    with served(QueuedWorker(worker, Settings())) as url, tab(chromium) as page:
        page.goto(url)
        choose_example(page)
        unfold(page)
        assert page.locator("#gaze").count() == 0
        page.locator('#methods .short button[aria-pressed="true"]').first.click()  # makes room
        page.locator("#methods .all").click()
        page.locator('#all-methods button[data-name="gazevlm"]').click()
        page.locator("#all-methods header button").click()
        pad = page.locator(".gaze-pad")
        pad.wait_for()
        page.wait_for_function("() => document.querySelector('.gaze-pad').offsetHeight > 100")
        box = pad.bounding_box()
        for x, y in POINTS:
            pad.click(position={"x": x * box["width"], "y": y * box["height"]})
        marks = page.locator(".gaze-pad i")
        marks.nth(1).wait_for()
        assert marks.all_inner_texts() == ["1", "2"]
        compare(page)
        found = np.array(worker.comparison.options["gaze"])
        np.testing.assert_allclose(found[:, :2], POINTS, atol=0.02)
        first, second = (worker.near(*point) for point in POINTS)
        # A fifth of the side around a point is an eighth of the picture.
        assert first > 0.3 and second > 0.3 and first + second > 0.6

        unfold(page)
        page.locator("#gaze button").click()
        page.wait_for_function("() => !document.querySelector('.gaze-pad i')")
        pad.press("ArrowLeft")
        pad.press("Space")  # a cross, one step left of the middle
        marks.first.wait_for()
        compare(page)
        assert worker.comparison.options["gaze"] == ((0.45, 0.5, 1.0),)
        assert worker.near(0.45, 0.5) > 0.4 > worker.near(*POINTS[0])

        move_the_mouse(page, pad)
        compare(page)
        trail = np.array(worker.comparison.options["gaze"])
        assert len(trail) >= 3 and 0.5 < trail[:, 2].sum() < 5 and (trail[:, 1] < 0.35).all()
        assert worker.near(0.75, 0.3) > 0.4


def move_the_mouse(page, pad):
    """Over the upper right of the picture, as a person types the question."""
    unfold(page)
    page.locator("#gaze button").click()
    page.wait_for_function("() => !document.querySelector('.gaze-pad i')")
    box = pad.bounding_box()
    page.locator("#question textarea").focus()
    for x in (0.7, 0.75, 0.8):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + 0.3 * box["height"])
        page.wait_for_timeout(400)
    page.mouse.move(box["x"], box["y"] - 40)
    page.locator("#gaze").get_by_text("s of the mouse").wait_for()
