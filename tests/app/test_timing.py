"""Lanes timed in turns: what is printed is what was measured, and nothing else."""

import json

import pytest

from app.__main__ import main
from app.measure import lane_times, timing
from app.measure.uploads import QUESTION, random_upload
from app.settings import Settings
from pruning.methods import create
from tests.tiny import tiny_llava, tiny_onevision, tiny_qwen2_5_vl


@pytest.fixture
def timed(monkeypatch):
    monkeypatch.setattr(timing, "load", lambda *_: tiny_llava())
    return timing.timing(
        "embedded-image", ["vanilla", "fastv"], [0.5, 0.05], 0, (48, 64), 3, 5, Settings()
    )


def test_every_lane_makes_as_many_tokens_as_every_other(monkeypatch):
    made = []
    monkeypatch.setattr(timing, "load", lambda *_: tiny_llava())
    ran = lane_times.run_lane

    def watched(*args, **options):
        *_, result = ran(*args, **options)
        made.append(result.new_tokens)
        yield result

    monkeypatch.setattr(lane_times, "run_lane", watched)
    ended = frozenset(range(tiny_llava().decoder.head.out_features))
    monkeypatch.setattr(type(tiny_llava()), "end_ids", ended)
    timing.timing("embedded-image", ["vanilla"], [0.5], 0, (48, 64), 2, 7, Settings())
    assert made == [7] * (2 + lane_times.WARM_UP), "whatever token ends an answer"


def test_a_time_to_the_first_token_is_the_sum_of_what_comes_before_it(timed):
    vanilla, half, refused = timed["rows"]
    for row in (vanilla, half):
        before = row["encode_ms"] + row["compress_ms"] + row["prefill_ms"]
        assert row["ttft_ms"] == pytest.approx(before, rel=0.5)
        assert row["token_ms"] > 0 and row["peak_mb"] is None
    assert vanilla["visual_tokens"] == timed["visual_tokens"] == 36
    assert half["tflops"] < vanilla["tflops"] and half["cache_mb"] < vanilla["cache_mb"]
    assert "smallest retention ratio" in refused["refused"] and refused["tflops"] is None


def test_the_table_has_a_line_for_every_lane_and_says_why_one_is_missing(timed):
    printed = timing.table(timed)
    assert printed.count("fastv  ") == 2 and "100.0%" in printed
    assert timed["rows"][-1]["refused"] in printed
    assert "medians of 3" in printed and "torch" in printed


def test_a_drawn_clip_changes_a_little_from_frame_to_frame():
    clip = random_upload(4, (32, 48))
    assert clip.frames.shape == (4, 32, 48, 3)
    change = abs(clip.frames[1:].astype(int) - clip.frames[:-1]).mean()
    assert 0 < change < abs(clip.frames[0].astype(int) - clip.frames[0].mean()).mean()
    assert random_upload(0, (32, 48)).frames.shape == (1, 32, 48, 3)


@pytest.mark.parametrize("model", [tiny_llava, tiny_onevision, tiny_qwen2_5_vl])
@pytest.mark.parametrize("name", ["vanilla", "visionzip", "fastv", "nuwa", "ivcprune"])
def test_what_is_counted_is_what_a_lane_that_runs_tells(model, name):
    adapter, media = model(), random_upload(0, (48, 64))
    ratio = {} if name == "vanilla" else {"retention_ratio": 0.6}
    method = create(name, **ratio)
    if name == "nuwa" and model is tiny_onevision:
        pytest.skip("crops have no grid")
    counted = timing._count(name, method, adapter, media)
    *_, ran = lane_times.run_lane(adapter, media, QUESTION, method, max_new_tokens=2)
    assert counted.tflops == pytest.approx(ran.tflops)
    assert counted.cache_mb == pytest.approx(ran.kv_bytes / 1e6)
    assert counted.measured_ratio == pytest.approx(ran.trace.average, abs=0.01)


def test_a_model_too_large_for_this_machine_can_be_counted(capsys):
    asked = ["--model", "llava-1.5-7b@random", "--methods", "vanilla,fastv", "--count"]
    assert main(["timing", *asked, "--retention", "0.111"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["prefill_ms"] for row in told["rows"]] == [None, None]
    assert told["conditions"]["device"] == "none: counted, not run"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--repeats", "0"], "Repeats: 0 came, wanted 1 to 1,000."),
        (["--size", "0x20"], "Height: 0 came, wanted 1 to 4,096."),
        (["--frames", "4"], "Drawn-scenes model takes a picture, and a clip came"),
        (["--size", "wide"], "wanted height x width such as 336x336"),
        (["--new-tokens", "1"], "1 new tokens came, wanted 2 to 128."),
        (["--retention", "half"], "wanted numbers such as"),
        (["--methods", "nobody"], "Unknown method 'nobody'"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_a_sentence(arguments, why, capsys):
    assert main(["timing", *arguments]) == 2
    assert why in capsys.readouterr().err


def test_the_report_is_written_where_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(timing, "load", lambda *_: tiny_onevision())
    path = tmp_path / "timing.json"
    small = ["--frames", "2", "--size", "48x64", "--repeats", "1", "--new-tokens", "2"]
    asked = ["--model", "embedded-video", "--methods", "flashvid", "--retention", "0.5"]
    assert main(["timing", *asked, *small, "--json", str(path)]) == 0
    assert json.loads(path.read_text()) == json.loads(capsys.readouterr().out.splitlines()[-1])
