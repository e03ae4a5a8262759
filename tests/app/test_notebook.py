"""TokenScope from Python: the README's lines, and what `compare` takes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from app import notebook
from app.settings import ROOT
from models import loading
from models.catalog import find
from pruning.trace import Fate
from tests.app import factory
from tests.tiny import tiny_llava


@pytest.mark.checkpoint
def test_the_lines_of_the_readme_run_as_they_stand(monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(lines, names)
    vanilla, visionzip, nuwa, *_ = capsys.readouterr().out.splitlines()
    assert vanilla.startswith("Vanilla [") and visionzip.startswith("VisionZip")
    assert nuwa.startswith("Nüwa") and len(names["trace"].fate) == find("embedded-image").tokens
    shown = notebook.overlay(names["comparison"], "nuwa")
    assert isinstance(shown, Image.Image) and shown.width == shown.height


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(notebook, "load_card", lambda card, device, dtype: tiny_llava())
    return notebook.load("embedded-image")


def test_a_path_a_pil_image_and_an_array_give_the_same_comparison(model, tmp_path):
    pixels = factory.picture(32, 32)
    path = tmp_path / "ball.png"
    Image.fromarray(pixels).save(path)
    for upload in (path, str(path), Image.fromarray(pixels), pixels):
        comparison = model.compare(upload, "Where?", ["nuwa"], max_new_tokens=2)
        assert np.array_equal(comparison.media.frames[0], pixels)
        assert [lane.method for lane in comparison.lanes] == ["vanilla", "nuwa"]
        assert set(comparison["nuwa"].trace.fate) <= set(Fate)


def test_an_array_that_is_no_picture_is_refused_with_the_shape_that_is_accepted(model):
    for array in (
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((2, 8, 8, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match=r"wanted uint8 of shape .height, width, 3."):
            model.compare(array, "Where?")


def test_more_methods_fit_than_on_the_page_and_each_is_found_by_name_or_title(model):
    names = ["nuwa", "nuwa:paper", "visionzip", "fastv", "pooling"]
    comparison = model.compare(factory.picture(32, 32), "Where?", names, max_new_tokens=2)
    assert len(comparison.lanes) == 6
    assert comparison["nuwa"] is comparison.lanes[1]
    assert comparison["Nüwa, paper"] is comparison.lanes[2]
    with pytest.raises(KeyError, match="no lane of 'random'; there are vanilla, nuwa, nuwa"):
        comparison["random"]


def test_the_result_of_a_failed_lane_is_its_reason(model):
    ratio = {"retention_ratio": 0.05, "max_new_tokens": 2}
    comparison = model.compare(factory.picture(32, 32), "Where?", ["fastv"], **ratio)
    with pytest.raises(ValueError, match=r"FastV failed: .*smallest retention ratio"):
        comparison["fastv"]


def test_weights_are_read_from_a_folder_that_is_named(tmp_path, monkeypatch):
    cards = []
    monkeypatch.setattr(notebook, "load_card", lambda card, *_: cards.append(card) or tiny_llava())
    model = notebook.load("llava-1.5-7b", folder=tmp_path)
    assert model.name == cards[0].name == "llava-1.5-7b" and not cards[0].revision
    with pytest.raises(ValueError, match=r"LLaVA-1.5 7B has no weights in"):
        loading.load_card(cards[0])
