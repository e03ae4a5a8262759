"""The gallery shows every method, and in each cell what the trace of that run says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from app.docs import gallery
from app.docs.examples import RATIOS, SHOWN
from app.example_uploads import examples_of
from app.measure.asking import Refusal
from app.render.gallery import CELL, COLUMNS, STRIP, Run, clip_gallery, picture_gallery
from app.render.overlay import overlay
from app.render.sheet import GROUND, ZOOM, font
from app.render.strip import strip
from models.uploads.media import Media
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.methods import METHODS
from pruning.methods.ivcprune import IVCPrune
from pruning.methods.visionzip import VisionZip
from tests.app import clips, factory

FRAME = factory.picture(480, 480)
PICTURE = Media(FRAME[None], np.zeros(1), "image", "made up", 0.0)
FASTV = factory.fastv_trace(FRAME)


def found(whole: Image.Image, part: Image.Image, left: int, top: int) -> bool:
    box = (left, top, left + part.width, top + part.height)
    return bool((np.asarray(whole.crop(box)) == np.asarray(part)).all())


def test_the_notes_of_a_run_are_its_counts() -> None:
    run = Run("Nüwa", 1 / 9, FASTV)
    assert run.heading == "Nüwa · 11.1 %"
    assert run.notes == ("64 kept, 0 merged", "512 dropped, 16.7 % run")


def test_the_font_of_captions_has_every_letter_of_every_title() -> None:
    missing = font(40).getmask("\u4e00")  # no Chinese: drawn as an empty box
    for letter in {letter for method in METHODS for letter in method.title} - {" "}:
        assert bytes(font(40).getmask(letter)) != bytes(missing), letter


def test_the_notes_of_a_refusal_name_the_smallest_ratio() -> None:
    assert Run("FastV", 1 / 9, FASTV, 0.1301).notes == ("refused, so 13.1 %:", "64 kept, 0 merged")
    assert Run("FastV", 1 / 9, None, 0.1301).notes == ("refused: 13.1 % at least",)


def test_every_picture_is_in_its_cell_and_a_refused_one_is_empty() -> None:
    traces = [FASTV, factory.pooling_trace(), None, *[FASTV] * 4]
    runs = [Run("Any", 0.5, trace, None if trace else 0.6) for trace in traces]
    sheet = picture_gallery(PICTURE, runs)
    across, down = (sheet.width - ZOOM * 8) // COLUMNS, (sheet.height - ZOOM * 4) // 2
    for index, trace in enumerate(traces):
        row, column = divmod(index, COLUMNS)
        left, top = ZOOM * 8 + column * across, ZOOM * 8 + row * down
        if trace is not None:
            assert found(sheet, overlay(FRAME, trace, size=ZOOM * CELL), left, top)
            continue
        inside = sheet.crop((left + 5, top + 5, left + ZOOM * CELL - 5, top + ZOOM * CELL - 5))
        assert inside.getcolors() == [(inside.width * inside.height, GROUND)]


def test_strips_stand_below_each_other_and_a_refused_one_leaves_its_words() -> None:
    trace = clips.trace()
    whole = strip(clips.grey(), trace, width=STRIP)
    one = clip_gallery(clips.grey(), [Run("TTM", 0.5, trace)])
    words = one.height - whole.height
    sheet = clip_gallery(
        clips.grey(), [Run("TTM", 0.5, trace), Run("TTM", 0.1, None, 0.2), Run("TTM", 0.4, trace)]
    )
    assert sheet.size == (whole.width, 3 * words + 2 * whole.height)
    assert found(sheet, whole, 0, words) and found(sheet, whole, 0, 3 * words + whole.height)
    heading = np.asarray(sheet.crop((0, words + whole.height, sheet.width, sheet.height)))[:words]
    assert (heading != GROUND).any()


def test_a_method_that_refuses_is_drawn_at_its_smallest_ratio_once() -> None:
    ran = []

    def trace(lanes: Sequence[CompressionMethod]) -> list[str | Refusal]:
        found: list[str | Refusal] = []
        for method in lanes:
            try:
                method.budget(576, 12)
            except BudgetError as error:
                found.append(Refusal(str(error), error.smallest))
            else:
                ran.append(method.retention_ratio)  # type: ignore[attr-defined]
                found.append("a trace")
        return found

    first, second, third = gallery.runs_of(IVCPrune, trace)
    assert [run.asked for run in (first, second, third)] == list(RATIOS)
    assert [run.trace for run in (first, second, third)] == ["a trace", None, None]
    assert [first.smallest] == ran and second.smallest == third.smallest == first.smallest
    assert all(run.smallest is None for run in gallery.runs_of(VisionZip, trace))


def test_pictures_show_all_that_take_them_and_clips_those_for_clips_alone() -> None:
    pictures = {method.name for method in gallery.methods_for("image")}
    on_clips = {method.name for method in gallery.methods_for("video")}
    assert pictures | on_clips == {method.name for method in METHODS} - {"vanilla"}
    assert on_clips == {method.name for method in METHODS if "image" not in method.media}
    assert not pictures & on_clips


@pytest.mark.parametrize("kind", SHOWN)
def test_the_question_is_one_of_the_example_s_own(kind: str) -> None:
    (example,) = (one for one in examples_of(kind) if one["file"] == SHOWN[kind].file)
    assert SHOWN[kind].question in [known["question"] for known in example["questions"]]


@pytest.mark.parametrize("kind", SHOWN)
def test_the_stored_gallery_shows_methods_that_exist_in_their_order(kind: str) -> None:
    """A new method is not in it yet. On failure: `make gallery`."""
    picture = Image.open(gallery.FOLDER / f"gallery-{kind}.png")
    stored = picture.text["Methods"].split()  # type: ignore[attr-defined]
    assert stored == [one.name for one in gallery.methods_for(kind) if one.name in stored]


@pytest.mark.checkpoint
def test_a_run_for_the_gallery_is_a_lane_of_the_embedded_model() -> None:
    media, runs = gallery.run_all(SHOWN["image"], [VisionZip])
    assert media.kind == "image" and [run.asked for run in runs] == list(RATIOS)
    for run in runs:
        assert run.trace is not None
        assert run.trace.average == pytest.approx(run.asked, abs=1 / len(run.trace.layout))
