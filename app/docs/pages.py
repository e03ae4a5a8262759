"""Writes the generated pages and tables of the docs from stored results. Measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.docs import (
    analysis_page,
    cases_page,
    costs,
    gpu_page,
    methods_page,
    model_card,
    models_page,
    page_times,
    settings_page,
)
from app.docs.marked import with_part
from app.measure.findings import write as findings
from app.render.method_text import Method
from app.render.tested import results
from app.settings import ROOT
from pruning.methods import METHODS

README = ROOT / "README.md"
MODEL_CARD = ROOT / "models" / "embedded" / "README.md"
METHODS_PAGE = ROOT / "docs" / "methods.md"
MODELS_PAGE = ROOT / "docs" / "models.md"
ANALYSIS_PAGE = ROOT / "docs" / "analysis.md"
SETTINGS_PAGE = ROOT / "docs" / "settings.md"
RESULTS = ROOT / "assets" / "results"
MATRIX = RESULTS / "matrix.json"
ANSWERED = (RESULTS / "bench-scenes.json", RESULTS / "bench-clips.json")
BY_SKILL = RESULTS / "bench-skills.json"
COUNTED = ("llava-1.5-7b", "llava-onevision-7b", "llava-video-7b", "qwen2.5-vl-7b")
MEASURED = ("embedded-image", "embedded-video")


def draw() -> Iterator[Path]:
    """Write every page; yield the path of each file."""
    for path, text in texts().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        yield path
    yield from findings.draw()


def texts(methods: Sequence[Method] = METHODS) -> dict[Path, str]:
    """The text of each file with `methods`; those without stored results are "not measured"."""
    answered = [report for path in ANSWERED if (report := model_card.current(path))]
    return {
        METHODS_PAGE: methods_page.markdown(
            results(), answered, methods, model_card.current(BY_SKILL)
        ),
        README: with_part(README, "methods", methods_page.short_table(methods)),
        MODELS_PAGE: models_page.markdown(_read(MATRIX), _costs(), methods),
        ANALYSIS_PAGE: analysis_page.markdown(),
        SETTINGS_PAGE: settings_page.markdown(),
        MODEL_CARD: with_part(MODEL_CARD, "measured", model_card.part()),
        gpu_page.PAGE: gpu_page.markdown(),
        cases_page.PAGE: cases_page.markdown(),
        page_times.PAGE: page_times.markdown(),
    }


def _costs() -> str:
    published = _read(RESULTS / "published.json")
    counts = [_read(RESULTS / "costs" / f"{name}.json") for name in COUNTED]
    times = [_read(RESULTS / "timing" / f"{name}.json") for name in MEASURED]
    return costs.section(counts, times, list(published.values()))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
