"""The Analysis in Chromium: the cursor, the words, the blocking table and the object's box."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import PurePath
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.app.browser import choose_example, compare, launched, served, tab
from tests.app.fake_worker import FakeWorker

pytestmark = pytest.mark.browser


def test_an_example_is_analysed_its_cursor_moves_and_a_cell_fills():
    worker = FakeWorker(failing=("pooling",))
    with served(worker) as url, launched() as chromium, tab(chromium) as page:
        page.goto(url)
        choose_example(page)
        page.locator("#question textarea").fill("Do you see a heart?")  # no box is known
        compare(page)
        page.locator("#analyse").click()
        page.locator("#analysis-blocking button").first.wait_for()
        assert page.locator("#analysis .reason").inner_text().startswith("It fell over")
        charts = page.locator("#analysis .measure svg.marks")
        charts.nth(1).wait_for()  # attention flow, and the encoder's entropy
        place = charts.first.locator("path.background").first.bounding_box()
        page.mouse.move(place["x"] + 20 / 31 * place["width"], place["y"] + 40)
        page.get_by_text("20 of 31").wait_for()
        assert "Vanilla 0.616" in page.locator("output[data-measure=answer_flow]").inner_text()
        line = page.locator(".measure > i").first.bounding_box()
        assert line["x"] == pytest.approx(place["x"] + 20 / 31 * place["width"], abs=2)

        page.locator("#analysis .words button").nth(1).click()
        assert page.locator("#analysis .words [aria-pressed=true]").first.inner_text() == "A"
        page.locator("#analysis .plate").first.hover()
        page.locator("#analysis .fate").get_by_text("of the attention").first.wait_for()

        page.locator("#analysis-blocking button").nth(5).click()
        page.locator("#analysis-blocking li").nth(2).wait_for()
        assert page.locator("#analysis-blocking li").all_inner_texts()[0].startswith("× 0.25")
        assert page.locator("#compare").is_enabled() and page.locator("#stop").is_disabled()

        page.locator("form.object .draw").click()
        plate = page.locator("#analysis .plate").first
        plate.scroll_into_view_if_needed()
        box = plate.bounding_box()
        page.mouse.move(box["x"] + 30, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 90)
        page.mouse.up()
        page.get_by_text("The object's box:").wait_for()
        charts.nth(2).wait_for()  # cohesion too
        left, top, right, bottom = worker.jobs[-1].study.box
        assert left < right and top < bottom

        check_files(downloaded(page))


def downloaded(page):
    """The files of the analysis that the page shows; the browser draws one of the charts."""
    with page.expect_download() as press:
        page.locator("#analysis-save").click()
    with zipfile.ZipFile(press.value.path()) as files:
        found = {PurePath(name).name: files.read(name) for name in files.namelist()}
    page.goto("data:image/svg+xml," + quote(found["cohesion.svg"]))
    page.get_by_text("IoU with the object").wait_for()
    return found


def check_files(files):
    """Every file of a download opens in its library: CSV, arrays, charts as PNG and SVG."""
    rows = list(csv.DictReader(io.StringIO(files["curves.csv"].decode())))
    arrays = [np.load(io.BytesIO(files[f"lane{index}.npz"])) for index in range(3)]
    cohesion = [float(row["value"]) for row in rows if row["measure"] == "cohesion"]
    assert cohesion == pytest.approx(
        np.concatenate([lane["cohesion"] for lane in arrays]), rel=1e-4
    )
    assert {"cohesion.svg", "encoder_entropy_share.png"} < set(files)
    for name, content in files.items():
        if name.endswith(".png"):
            darkest, lightest = Image.open(io.BytesIO(content)).convert("L").getextrema()
            assert darkest < 100 and lightest == 255, name
        if name.endswith(".svg"):
            assert len(ElementTree.fromstring(content).findall(".//{*}path")) > 10, name
