"""The costs in docs/models.md: stored counts are those of today, and papers are quoted."""

from __future__ import annotations

import json

import pytest

from app.docs import costs
from app.docs.pages import COUNTED, MEASURED, MODELS_PAGE, RESULTS
from app.measure import timing
from app.settings import Settings

ROW = {"method": "fastv", "retention_ratio": 0.25, "refused": "", "visual_tokens": 1000}
COST = {"tflops": 2.0, "cache_mb": 50.0}
REPORT = {
    "model": "llava-1.5-7b@random",
    "upload": {"frames": 1, "height": 336, "width": 448},
    "visual_tokens": 1000,
    "text_tokens": 20,
}


def stored(folder: str, name: str) -> dict:
    return json.loads((RESULTS / folder / f"{name}.json").read_text())


@pytest.mark.parametrize("name", COUNTED)
def test_stored_counts_are_those_of_today(name):
    """On failure: `make costs docs`."""
    report = stored("costs", name)
    upload, vanilla = report["upload"], report["rows"][0]
    size = upload["height"], upload["width"]
    frames = upload["frames"] if upload["frames"] > 1 else 0
    asked = report["model"], ["vanilla"], [1.0], frames, size, 1, 2
    today = timing.timing(*asked, Settings(), counts_only=True)
    assert today["rows"][0] == vanilla
    assert today["visual_tokens"] == report["visual_tokens"]


def test_each_method_has_its_share_of_vanilla():
    vanilla = {**ROW, "method": "vanilla", "retention_ratio": None, "tflops": 8, "cache_mb": 200}
    text = costs.counted({**REPORT, "rows": [vanilla, {**ROW, **COST}]})
    assert "a picture of 336 × 448 pixels: 1,000 visual tokens and 20 of text" in text
    assert text.splitlines()[-1] == "| `fastv` | 25.0 % | 1,000 | 2.00 | 25.0 % | 50.0 | 25.0 % |"


def test_a_refused_method_has_no_row():
    refused = {**ROW, "refused": "too low", "tflops": None, "cache_mb": None}
    text = costs.counted({**REPORT, "rows": [{**ROW, **COST}, refused]})
    assert text.count("fastv") == 1


def test_figures_of_papers_and_our_times_name_the_machine():
    docs = MODELS_PAGE.read_text()
    for paper in json.loads((RESULTS / "published.json").read_text()).values():
        assert f"{paper['source']}, measured there on {paper['machine']}" in docs
    for name in MEASURED:
        conditions = stored("timing", name)["conditions"]
        assert f"machine {conditions['machine']}" in docs
    assert "No GPU has timed these shapes here" in docs
