"""Which method runs on which model: stored results, docs/models.md, and today's classes agree."""

from __future__ import annotations

import json
import re

import pytest

from app.docs import models_page, pages
from app.render.tested import NOT_MEASURED
from models.catalog import CATALOG
from models.grounding import FORMATS
from pruning.methods import METHODS, create
from tests.matrix import matrix
from tests.tiny import SETTINGS

STORED = json.loads(pages.MATRIX.read_text())


@pytest.mark.slow
def test_a_method_runs_on_every_tiny_model_but_where_its_fields_exclude_the_upload() -> None:
    """Stored results are those of today; a new method has none. On failure: `make matrix`."""
    stored = {(cell["method"], cell["setting"]): cell for cell in STORED["cells"]}
    settings = {setting.id: setting for setting in SETTINGS}
    for cell in matrix()["cells"]:
        setting, method = settings[cell["setting"]], create(cell["method"])
        assert bool(cell["refused"]) != setting.runs(method), (cell["method"], setting.id)
        if known := stored.pop((method.name, setting.id), None):
            ratio = known["measured_ratio"]
            assert cell == known | {"measured_ratio": ratio and pytest.approx(ratio, abs=0.01)}
    assert not stored, "results of a method or a model that is gone"


def test_the_tiny_models_cover_the_families_of_the_cards() -> None:
    assert {setting.family for setting in SETTINGS} == {card.family for card in CATALOG}


def test_the_docs_have_every_card_and_every_method() -> None:
    docs = models_page.markdown(STORED, "", METHODS)
    for card in CATALOG:
        line = re.search(rf"^\| `{re.escape(card.name)}` \|.*$", docs, re.MULTILINE)[0]
        assert card.source in line and card.licence in line and f"{card.tokens:,}" in line
        assert f"- `{card.grounding}`: {FORMATS[card.grounding].written}" in docs
    for method in METHODS:
        assert f"| [`{method.name}`](methods.md#{method.name}) |" in docs


def page(*cells: dict, timing: str = "") -> str:
    return models_page.markdown({"retention_ratio": 0.6, "cells": cells}, timing, METHODS)


def test_a_refusal_is_short_in_its_cell_and_complete_below() -> None:
    cell = {"method": "grid", "preset": "default", "setting": "a", "family": "f", "kind": "image"}
    cell |= {"measured_ratio": None, "refused": "Even grid needs a regular grid; it has none."}
    other = cell | {"setting": "b", "preset": "f", "measured_ratio": 0.5, "refused": ""}
    docs = page(cell, other, timing="A table.")
    assert "| no grid <sup>1</sup> | runs as `f` |" in docs
    assert "\n1. Even grid needs a regular grid; it has none.\n" in docs and "A table.\n" in docs
    assert "| refuses <sup>1</sup> |" in page(cell | {"refused": "A new sentence."}, other)
    assert f"(methods.md#fastv) | {NOT_MEASURED} | {NOT_MEASURED} |" in docs
