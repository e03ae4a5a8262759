"""A loaded recording equals the saved comparison, and a damaged one is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.recording import drawings, storage
from app.recording.storage import RecordingError
from models.uploads.read import read_media
from pruning.base import PositionStrategy
from pruning.tokens import TokenLayout
from pruning.trace import TokenTrace
from tests.app import factory


@pytest.fixture(scope="module")
def comparison():
    return factory.comparison()


@pytest.fixture(scope="module")
def saved(comparison, tmp_path_factory):
    return storage.save(comparison, tmp_path_factory.mktemp("recordings") / "red ball")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def edit(folder, change):
    record = json.loads((folder / "record.json").read_text())
    change(record)
    (folder / "record.json").write_text(json.dumps(record))


def test_a_loaded_comparison_equals_the_saved_one(comparison, saved):
    loaded = storage.load(saved)
    assert factory.same(loaded, comparison)
    assert (loaded.lanes[2].trace.fate == comparison.lanes[2].trace.fate).all()
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.npz", "frame_000.png", "record.json"]


def test_equality_in_these_tests_notices_one_bit(comparison):
    frames = comparison.media.frames.copy()
    frames[0, 3, 3, 0] ^= 1
    media = replace(comparison.media, frames=frames)
    assert not factory.same(replace(comparison, media=media), comparison)


def test_a_video_and_unusual_values_are_restored(tmp_path):
    odd = factory.comparison(
        media=factory.clip(width=64, height=48),
        lanes=(
            factory.lane("tree", "Tree", factory.video_trace(), "ü\n\x00 \"{}\"", peak_bytes=7,
                         boxes=np.zeros((0, 4), dtype=np.float32)),
            factory.lane("prumerge", "PruMerge", factory.prumerge_trace(factory.picture()), ""),
        ),
        truth=None,
        options={"stop": ["a", ("b", 1)], "top_p": None, "nested": {"tuple": 3}},
    )  # fmt: skip
    assert factory.same(storage.load(storage.save(odd, tmp_path / "odd")), odd)


def test_segments_are_restored_and_those_of_another_clip_are_refused(tmp_path):
    segments = np.array([0, 0, 1, 1])
    trace = factory.video_trace()
    trace = replace(trace, steps=(replace(trace.steps[0], segments=segments),))
    lane = factory.lane("tree", "Tree", trace, "")
    made = factory.comparison(media=factory.clip(), lanes=(lane,))
    folder = storage.save(made, tmp_path / "cut")
    assert factory.same(storage.load(folder), made)
    with np.load(folder / "arrays.npz") as arrays:
        kept = dict(arrays)
    for odd in (segments[:3], segments + 4, segments / 2):
        np.savez(folder / "arrays.npz", **{**kept, "lane0.step0.segments": odd})
        with pytest.raises(RecordingError, match="invalid segments"):
            storage.load(folder)


def test_segments_are_of_the_frames_that_have_tokens(tmp_path):
    layout = TokenLayout.regular(2, 4, 4)
    layout = replace(layout, frame=2 * layout.frame)  # a model that sees two frames as one
    step = replace(factory.selection_step(np.arange(8), 32), segments=np.array([0, 1]))
    lane = factory.lane("flashvid", "FlashVID", TokenTrace(layout, (step,), 8), "")
    made = factory.comparison(media=factory.clip(), lanes=(lane,))
    assert factory.same(storage.load(storage.save(made, tmp_path / "pairs")), made)


def test_an_enum_among_the_knobs_is_restored_as_its_value(tmp_path, comparison):
    knobs = {"inner": PositionStrategy.PERC, "share": np.float64(0.5)}
    lane = replace(comparison.lanes[0], knobs=knobs)
    loaded = storage.load(storage.save(replace(comparison, lanes=(lane,)), tmp_path / "a"))
    assert loaded.lanes[0].knobs == {"inner": "perc", "share": 0.5}


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path, comparison):
    storage.save(comparison, tmp_path / "case")
    storage.save(replace(comparison, question="Why?"), tmp_path / "case")
    assert storage.load(tmp_path / "case").question == "Why?"
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_failed_save_leaves_the_old_recording(tmp_path, comparison):
    storage.save(comparison, tmp_path / "case")
    broken = replace(comparison, options={"x": object()})
    with pytest.raises(TypeError):
        storage.save(broken, tmp_path / "case")
    assert storage.load(tmp_path / "case").question == comparison.question
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_only_a_recording_is_replaced(tmp_path, comparison):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "chapter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, file in (("folder", "folder/chapter.txt"), ("file", "file")):
        with pytest.raises(RecordingError, match="not a recording"):
            storage.save(comparison, tmp_path / name)
        assert (tmp_path / file).read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.update(format="other"), "not a TokenScope recording"),
        (lambda r: r.update(version=99), "reads version 2. Open it with a newer TokenScope"),
        (lambda r: r.update(version=1), "version 1; this program reads version 2. Run the"),
        (lambda r: r.pop("version"), "version None"),
        (lambda r: r["lanes"][1].pop("averages"), "'averages' is missing"),
        (lambda r: r.pop("lanes"), "'lanes' is missing"),
        (lambda r: r.update(frames=10**9), "1000000000 frames"),
        (lambda r: r.update(frames=3), "damaged"),
        (lambda r: r["media"].update(times=[0.0, 1.0]), "times are invalid"),
        (lambda r: r["media"].update(times=[float("nan")]), "times are invalid"),
        (lambda r: r["media"].update(kind="song"), "no known kind"),
        (lambda r: r.pop("media"), "'media' is missing"),
        (lambda r: r["lanes"][2]["steps"].reverse(), "tokens"),
        (lambda r: r["lanes"][0].update(num_layers=10**9), "1000000000 LLM layers"),
        (lambda r: r["lanes"][0].update(grid=[1, 2, 3]), "does not hold"),
        (lambda r: r["lanes"][0]["phases"].append(["nap", 1, 1, 1]), "unknown name"),
        (lambda r: r.update(lanes=[7]), "damaged"),
        (lambda r: r.update(question="?" * 3_000_000), "record.json has more than 2 MiB"),
        (lambda r: r["lanes"][0].update(first_token=float("nan")), "a number is nan"),
        (lambda r: r["lanes"][0].update(kv_bytes=-1), "a number is -1"),
        (lambda r: r["lanes"][0].update(tflops=1e300), "a number is 1e[+]300"),
        (lambda r: r["lanes"][1].update(asked_ratio=7), "ratio is not between 0 and 1"),
        (lambda r: r["lanes"][0].update(grid=[-1, -24, 24]), "a grid has no cells"),
        (lambda r: r["lanes"][2]["steps"][0].update(layer=99), "steps at invalid layers"),
        (lambda r: r["lanes"][1]["averages"].update(cached=-1), "averages are invalid"),
        (
            lambda r: r["lanes"][1].update(reads=[1.0]),
            "one count of rows read in decode",
        ),
    ],
)
def test_a_damaged_record_is_refused_with_one_sentence(copy, change, complaint):
    edit(copy, change)
    with pytest.raises(RecordingError, match=complaint) as error:
        storage.load(copy)
    assert "\n" not in str(error.value) and str(copy.parent) not in str(error.value)


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        ("lane0.boxes", lambda _: np.array([{"a": 1}], dtype=object), "damaged"),
        ("lane0.boxes", lambda _: np.array([["a"] * 4]), "lane0.boxes holds no numbers"),
        ("lane0.boxes", lambda boxes: boxes.ravel(), "boxes are not"),
        ("lane0.box", lambda box: box + 2000, "far outside its frame"),
        ("lane1.step0.rows", lambda rows: rows[::-1], "unsorted rows"),
        ("lane1.step0.weights", lambda weights: weights * np.nan, "invalid weights"),
        ("lane1.step0.cols", lambda cols: cols + 9999, "column outside"),
        ("lane1.step0.tag0", lambda tag: tag.astype(np.int64) + 9999, "invalid tags"),
    ],
)
def test_damaged_arrays_are_refused(copy, name, damage, complaint):
    with np.load(copy / "arrays.npz") as loaded:
        arrays = dict(loaded)
    np.savez(copy / "arrays.npz", **{**arrays, name: damage(arrays[name])})
    with pytest.raises(RecordingError, match=complaint):
        storage.load(copy)


def test_a_missing_folder_or_damaged_archive_is_refused_with_one_sentence(tmp_path, copy):
    (copy / "arrays.npz").write_bytes(b"PK nothing")
    with pytest.raises(RecordingError, match="damaged"):
        storage.load(copy)
    with pytest.raises(RecordingError, match=r"gone has no readable record.json"):
        storage.load(tmp_path / "gone")


def test_frames_that_would_fill_the_memory_are_refused(copy):
    Image.new("1", (7000, 7000)).save(copy / "frame_000.png")
    edit(copy, lambda record: record.update(frames=9))
    with pytest.raises(RecordingError, match="too large together"):
        storage.load(copy)


def test_no_metadata_is_written_with_a_frame(saved):
    with Image.open(saved / "frame_000.png") as picture:
        assert not picture.info and not picture.getexif()


def test_pictures_of_two_lanes_of_one_method_do_not_overwrite_each_other(tmp_path, comparison):
    lane = replace(comparison.lanes[1], method="../evil")
    twice = replace(comparison, lanes=(lane, lane, comparison.lanes[3]))
    names = sorted(path.name for path in drawings.draw(twice, tmp_path / "out"))
    assert names == [
        "boxes_evil.png", "boxes_evil_2.png", "latency.png", "latency.svg",
        "overlay_evil.png", "overlay_evil_2.png", "staircase.png", "staircase.svg",
    ]  # fmt: skip
    assert all((tmp_path / "out" / name).stat().st_size > 500 for name in names)


def test_a_clip_is_drawn_as_a_strip_trees_a_timeline_and_an_mp4(tmp_path):
    clip, lane = factory.clip(), factory.lane("tree", "Tree", factory.flash_trace(), "")
    clip.frames[-1] = 255
    drawings.draw(factory.comparison(media=clip, lanes=(lane,), truth=None), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "boxes_tree.png", "latency.png", "latency.svg", "overlay_tree.mp4", "staircase.png",
        "staircase.svg", "strip_tree.png", "timeline.png", "timeline.svg", "tree1_tree.png",
        "tree2_tree.png", "tree3_tree.png",
    ]  # fmt: skip
    overlay = read_media(tmp_path / "overlay_tree.mp4", 64)
    assert len(overlay.frames) == 4, "one for each frame of the clip"
    with Image.open(tmp_path / "boxes_tree.png") as drawn:
        assert drawn.getpixel((5, 5)) == (255, 255, 255), "boxes are drawn on the last frame"
