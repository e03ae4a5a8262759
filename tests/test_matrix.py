"""Which method runs on which model: what is stored is of today, and the docs say it."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import pytest

from app.docs import models_page as page
from app.docs import write_models as write
from models.catalog import CATALOG
from models.grounding import FORMATS
from pruning.methods import METHODS
from tests.matrix import matrix
from tests.tiny import SETTINGS

STORED = json.loads(write.MATRIX.read_text())


def test_every_method_runs_on_every_tiny_model_or_refuses_as_stored() -> None:
    """Where one does not: `make matrix`."""
    fresh, stored = matrix(), deepcopy(STORED)
    for one, other in zip(fresh["cells"], stored["cells"], strict=True):
        ratios = one.pop("measured_ratio"), other.pop("measured_ratio")
        assert one == other
        assert ratios[0] == (None if one["refused"] else pytest.approx(ratios[1], abs=0.01))


def test_the_settings_are_of_families_that_have_cards_and_each_family_has_one() -> None:
    assert {setting.family for setting in SETTINGS} == {card.family for card in CATALOG}


def test_the_docs_of_models_in_the_checkout_are_what_cards_and_matrix_give() -> None:
    """Where they are not: `make matrix`."""
    assert write.PAGE.read_text() == write.written()


def test_the_docs_tell_of_every_card_and_of_every_method() -> None:
    docs = page.markdown(STORED)
    for card in CATALOG:
        line = re.search(rf"^\| `{re.escape(card.name)}` \|.*$", docs, re.MULTILINE)[0]
        assert card.source in line and card.licence in line and f"{card.tokens:,}" in line
        assert f"- `{card.grounding}`: {FORMATS[card.grounding].written}" in docs
    for method in METHODS:
        assert f"| [`{method.name}`](methods.md#{method.name}) |" in docs


def test_a_refusal_is_short_in_its_cell_and_whole_below() -> None:
    told = {"method": "grid", "preset": "default", "setting": "a", "family": "f", "kind": "image"}
    told |= {"measured_ratio": None, "refused": "Even grid needs a regular grid; it has none."}
    other = told | {"setting": "b", "preset": "f", "measured_ratio": 0.5, "refused": ""}
    docs = page.markdown({"retention_ratio": 0.6, "cells": [told, other]}, timing="A table.")
    assert "| no grid <sup>1</sup> | runs as `f` |" in docs
    assert "\n1. Even grid needs a regular grid; it has none.\n" in docs and "A table.\n" in docs
    strange = told | {"refused": "A new sentence."}
    assert "| refuses <sup>1</sup> |" in page.markdown(
        {"retention_ratio": 0.6, "cells": [strange, other]}
    )
