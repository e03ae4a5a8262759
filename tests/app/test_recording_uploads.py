"""A downloaded recording opens again as it was; what a stranger sends instead is one sentence."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.page.board import Board
from app.page.following import Following
from app.page.handlers import Handlers, describe_size
from app.page.opening import Opening
from app.reading.recordings import MOST_FILES, RecordingError, open_zip
from app.recording import storage
from app.recording.lane_format import MOST_WEIGHTS
from app.recording.uploads import open_upload
from app.render.token_data import token_data
from app.settings import Settings
from models.uploads.media import Limits
from pruning.step import TraceStep
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import factory
from tests.app.asking import TAB, handlers
from tests.app.fake_worker import FakeWorker

pytestmark = pytest.mark.security


def zipped(comparison, tmp_path) -> str:
    """As `app.recording.export` writes it, without pictures, which nothing reads."""
    storage.save(comparison, tmp_path / "files" / "tokenscope-comparison")
    return shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "files")


@pytest.fixture
def saved(tmp_path):
    return zipped(factory.comparison(), tmp_path)


@pytest.mark.parametrize("media", [None, factory.clip()], ids=["picture", "clip"])
def test_a_downloaded_recording_is_the_same_comparison_with_the_same_overlays(media, tmp_path):
    made = factory.comparison()
    if media is not None:
        lane = factory.lane("flashvid", "FlashVID", factory.flash_trace(), "It rolls.")
        made = factory.comparison(media=media, lanes=(lane,), truth=None)
    opened = open_upload(zipped(made, tmp_path), Settings())
    assert factory.same(opened, made)
    for lane, other in zip(opened.lanes, made.lanes, strict=True):
        if hasattr(lane, "trace"):
            assert token_data(opened.media, lane.trace) == token_data(made.media, other.trace)


def write(path, entries) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries:
            packed.writestr(name, content)


def edited(saved, change) -> None:
    """Write the zip file anew with `change` of its entries, by name."""
    with zipfile.ZipFile(saved) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    change(entries)
    write(saved, entries.items())


def record(**changes):
    def change(entries):
        name = "tokenscope-comparison/record.json"
        entries[name] = json.dumps(json.loads(entries[name]) | changes)

    return change


def entry(name, content="x"):
    return lambda entries: entries.update({name: content})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (entry("../../etc/cron.d/job"), "names files outside itself"),
        (entry("/etc/passwd"), "names files outside itself"),
        (entry("C:\\windows\\evil.dll"), "names files outside itself"),
        (entry("a\\..\\..\\b"), "names files outside itself"),
        (entry("other/record.json", "{}"), "2 files record.json; a recording has one"),
        (lambda entries: entries.clear(), "0 files record.json"),
        (lambda e: e.update({f"{i}.png": "" for i in range(MOST_FILES)}), "at most 2,048 fit"),
        (entry("tokenscope-comparison/record.json", "[" * 100_000), "no readable record.json"),
        (entry("tokenscope-comparison/record.json", b"\xff\xfe"), "no readable record.json"),
        (entry("tokenscope-comparison/record.json", b" " * 3_000_000), "more than 2 MiB"),
        (entry("tokenscope-comparison/arrays.npz", b"PK nothing"), "damaged"),
        (entry("tokenscope-comparison/frame_000.png", "no picture"), "cannot be read"),
        (lambda entries: entries.pop("tokenscope-comparison/frame_000.png"), "cannot be read"),
        (record(version=3), "version 3; this program reads version 2. Open it with a newer"),
        (record(format="other"), "is not a TokenScope recording"),
        (record(frames="many"), "many frames"),
    ],
)
def test_a_zip_file_that_is_no_sound_recording_is_one_sentence(saved, change, sentence, tmp_path):
    edited(saved, change)
    with pytest.raises(RecordingError, match=sentence) as refused:
        open_zip(tmp_path / "mine.zip")
    text = str(refused.value)
    assert text.startswith("mine.zip ") and "\n" not in text and str(tmp_path) not in text


def test_a_file_that_is_too_large_or_no_zip_file_is_one_sentence(saved, tmp_path):
    with pytest.raises(RecordingError, match=r"MB; the limit is 0\.01 MB"):
        open_zip(tmp_path / "mine.zip", Limits(bytes=10_000))
    with pytest.raises(RecordingError, match="a frame is too large"):
        open_zip(tmp_path / "mine.zip", Limits(pixels=1000))
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.zip", "PNG")
    with pytest.raises(RecordingError, match="no zip file; choose the file that “Download"):
        open_zip(tmp_path / "picture.zip")


def test_a_small_file_whose_maps_multiply_to_a_large_one_is_refused(tmp_path):
    many = np.arange(2000)
    spread = TraceStep(  # each of 2000 survivors takes a little of the one before
        0, 2000, many, many.repeat(2), np.stack([many, many * 0], 1).ravel(), np.ones(4000, "f4")
    )
    whole = TraceStep(0, 2000, many, many.repeat(499), np.tile(many[:499], 2000), np.ones(998_000))
    lane = factory.lane("x", "X", TokenTrace(TokenLayout.regular(1, 40, 50), (), 8), "")
    steps = (spread, replace(whole, weights=whole.weights.astype(np.float32)))
    lane = replace(lane, trace=replace(lane.trace, steps=steps), averages=None)
    path = zipped(factory.comparison(lanes=(lane,)), tmp_path)
    with pytest.raises(RecordingError, match=f"more than {MOST_WEIGHTS:,} weights"):
        open_upload(path, Settings())


@pytest.mark.parametrize(
    ("changes", "settings", "sentence"),
    [
        ({}, Settings(max_lanes=3), "has 4 lanes; this page shows 3"),
        ({"media": factory.clip(3), "lanes": ()}, Settings(max_frames=2), "3 frames"),
        ({"lanes": ()}, Settings(), "has no lanes"),
    ],
)
def test_a_recording_that_the_page_has_no_room_for_is_one_sentence(
    changes, settings, sentence, tmp_path
):
    with pytest.raises(RecordingError, match=sentence):
        open_upload(zipped(factory.comparison(**changes), tmp_path), settings)


def opening(worker=None) -> tuple[Opening, Handlers, Board]:
    page = handlers(worker or FakeWorker())
    return Opening(Following(page.form, Settings()), page), page, page.board


def test_an_opened_recording_is_held_named_and_asked_again_by_the_form(tmp_path):
    lanes = factory.comparison().lanes[:3]
    lanes = tuple(replace(lane, knobs={"numbering": "published"}) for lane in lanes)
    options = {"seed": 3, "gaze": ((0.3, 0.5, 1.0),)}
    made = factory.comparison(model="embedded-image", lanes=lanes, options=options)
    here, page, board = opening()
    update = here.open_file(TAB, "", zipped(made, tmp_path))
    assert set(update) <= set(here.outputs())
    held = page.store.find(update[board.address])
    assert factory.same(held.comparison, made)
    assert (held.request.seed, held.request.gaze) == (3, "0.3,0.5,1.0")
    assert "Opened from a file</b> recorded on NVIDIA H100" in update[board.caption]
    assert "Compare runs it here" in update[page.form.status]
    assert update[page.form.question] == made.question
    with Image.open(update[page.form.uploads["image"]]) as picture:
        assert np.array_equal(np.asarray(picture), made.media.frames[0])


def test_a_recording_of_a_model_that_is_not_here_leaves_the_form(saved):
    here, page, _ = opening()
    update = here.open_file(TAB, "", saved)
    assert page.form.question not in update and "Opened" in update[page.form.status]


def test_a_refused_recording_and_a_running_comparison_leave_the_board(saved, tmp_path):
    here, page, _ = opening()
    edited(saved, record(version=3))
    assert set(here.open_file(TAB, "", saved)) == {page.form.status}
    odd = replace(factory.comparison(), conditions={"load": "x"}, options={"drawn": {}})
    here._open = lambda *_: 1 / 0  # what drawing raises for values that do not fit together
    only = here.open_file(TAB, "", zipped(odd, tmp_path))
    assert "cannot be shown" in only[page.form.status]
    with page.admission.visitors.job(TAB.session_hash):
        only = here.open_file(TAB, "", saved)
        assert "runs a comparison" in only[page.form.status]
        assert "runs a comparison" in here.choose(TAB, "", None)[page.form.status]


def test_a_recording_that_the_page_would_refuse_is_named_when_it_is_downloaded(tmp_path):
    path = tmp_path / "mine.zip"
    path.touch()
    os.truncate(path, 2_000_000)
    assert describe_size(str(path), 2) == ""
    os.truncate(path, 2_000_001)
    assert "has 3 MB, and this page opens at most 2 MB" in describe_size(str(path), 2)
    assert "TOKENSCOPE_MAX_UPLOAD_MB=3" in describe_size(str(path), 2)
