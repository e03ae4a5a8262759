"""What docs/models.md tells of costs: the stored counts are today's, and so are the papers'."""

from __future__ import annotations

import json

import pytest

from app.docs import costs
from app.docs.pages import COUNTED, MEASURED, MODELS_PAGE, RESULTS
from app.measure import timing
from app.settings import Settings

ROW = {"method": "fastv", "retention_ratio": 0.25, "refused": "", "visual_tokens": 1000}
TOLD = {"tflops": 2.0, "cache_mb": 50.0}
REPORT = {
    "model": "llava-1.5-7b@random",
    "upload": {"frames": 1, "height": 336, "width": 448},
    "visual_tokens": 1000,
    "text_tokens": 20,
}


def stored(folder: str, name: str) -> dict:
    return json.loads((RESULTS / folder / f"{name}.json").read_text())


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_stored_is_counted_alike_today(name):
    """Where it is not: `make costs`."""
    report = stored("costs", name)
    upload, vanilla = report["upload"], report["rows"][0]
    size = upload["height"], upload["width"]
    frames = upload["frames"] if upload["frames"] > 1 else 0
    asked = report["model"], ["vanilla"], [1.0], frames, size, 1, 2
    today = timing.timing(*asked, Settings(), counts_only=True)
    assert today["rows"][0] == vanilla
    assert today["visual_tokens"] == report["visual_tokens"]


def test_each_method_stands_beside_vanilla():
    vanilla = {**ROW, "method": "vanilla", "retention_ratio": None, "tflops": 8, "cache_mb": 200}
    told = costs.counted({**REPORT, "rows": [vanilla, {**ROW, **TOLD}]})
    assert "a picture of 336 × 448 pixels: 1,000 visual tokens and 20 of text" in told
    assert told.splitlines()[-1] == "| `fastv` | 25.0 % | 1,000 | 2.00 | 25.0 % | 50.0 | 25.0 % |"


def test_a_method_that_refused_has_no_line():
    refused = {**ROW, "refused": "too low", "tflops": None, "cache_mb": None}
    told = costs.counted({**REPORT, "rows": [{**ROW, **TOLD}, refused]})
    assert told.count("fastv") == 1


def test_papers_are_quoted_with_their_machine_and_times_name_ours():
    docs = MODELS_PAGE.read_text()
    for paper in json.loads((RESULTS / "published.json").read_text()).values():
        assert f"{paper['source']}, measured there on {paper['machine']}" in docs
    for name in MEASURED:
        conditions = stored("timing", name)["conditions"]
        assert f"machine {conditions['machine']}" in docs
    assert "No GPU has timed these shapes here" in docs
