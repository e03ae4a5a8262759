"""How speed is measured, on a tiny model and without a page."""

from dataclasses import replace

import pytest

from app import example_uploads
from app.__main__ import main
from app.measure import speed
from app.settings import Settings
from app.worker import local
from tests.app import factory
from tests.tiny import tiny_onevision

pytestmark = pytest.mark.slow

NO_RATIO = dict.fromkeys(("vanilla", "generate", "ratio"), 1.0)  # a random model never stops


@pytest.fixture
def example(tmp_path, monkeypatch):
    clip = factory.clip_file(tmp_path / "clip-1.mp4", 24)
    known = [{"question": "Which way?", "answer": "right"}]
    entry = {"file": clip.name, "digest": "", "questions": known}
    monkeypatch.setattr(example_uploads, "examples", lambda: (entry,))
    monkeypatch.setattr(speed, "EXAMPLES", tmp_path)
    return entry


def test_a_model_of_clips_is_measured_on_sixteen_frames_with_four_lanes(example, monkeypatch):
    for module in (speed, local):
        monkeypatch.setattr(module, "load", lambda name, device, dtype: tiny_onevision())
    asked = speed._job
    monkeypatch.setattr(speed, "_job", lambda *a: replace(asked(*a), max_new_tokens=2))
    monkeypatch.setattr(
        speed, "_page", lambda *_: {"seconds": 5.0, "resident_mb": 600.0, "comparison_kb": 120.0}
    )
    monkeypatch.setattr(speed, "_against_generate", lambda *_: dict(NO_RATIO))
    report = speed.speed("embedded-video", 1, Settings())
    assert report["upload"]["frames"] == 16 and report["upload"]["read"] > 0
    assert list(report["alone_and_together"]) == ["vanilla", "flashvid", "fastvid", "ttm"]
    printed = speed.table(report)
    assert f"{report['upload']['read']:.2f} s, 16 frames by" in printed
    whole = report["upload"]["read"] + report["four_lanes"]["all_done_cold"]
    assert f"{whole:.2f} s cold" in printed


def test_without_an_example_it_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr(example_uploads, "examples", lambda: ())
    assert main(["speed", "--model", "embedded-video"]) == 2
    assert "There is no example clip; draw it with `make examples`." in capsys.readouterr().err
