"""Models by name: what a card says holds of the model it names."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import catalog
from models.catalog import CATALOG, RANDOM, find
from models.families.anyres import lay_out
from models.loading import FAMILIES, load, load_card
from models.shapes import SHAPES
from tests.tiny import clip, picture

HOSTED = [card for card in CATALOG if card.revision]


def test_names_are_told_apart_and_every_card_can_be_loaded_by_its_family() -> None:
    assert len({card.name for card in CATALOG}) == len(CATALOG)
    assert {card.family for card in CATALOG} == set(FAMILIES)
    assert {card.name for card in HOSTED} <= set(SHAPES)


def test_a_model_comes_with_the_guide_that_its_card_names() -> None:
    guided = replace(find("embedded-image"), name="guided", guide="embedded-video")
    named = load_card(guided, device="cpu").guide
    guide = named.load()
    assert named.title == find("embedded-video").title
    assert guide.media == find("embedded-video").media
    assert guide.guide is None


def test_a_guide_is_a_model_of_the_list_that_takes_what_its_model_takes() -> None:
    for card in CATALOG:
        if card.guide:
            assert find(card.guide).media >= card.media and not find(card.guide).guide


def test_an_unknown_name_lists_those_there_are() -> None:
    for name in ("gpt", "llava-hf/llava-1.5-7b-hf", "llava-1.5-7b@noise", "../embedded", None):
        with pytest.raises(ValueError, match="choose from embedded-image, embedded-video, "):
            find(name)


def test_after_a_name_the_same_shape_without_weights_is_asked_for() -> None:
    card = find(f"llava-1.5-7b{RANDOM}")
    assert card.name == "llava-1.5-7b@random" and card.random
    assert card.title == "LLaVA-1.5 7B (random weights)"
    assert "answers are noise" in card.note_on("Where is the cat?")
    assert find("llava-1.5-7b").note_on("Where is the cat?") == ""


def test_a_model_that_ships_with_its_weights_is_not_built_without_them() -> None:
    with pytest.raises(ValueError, match="ships with its weights; choose embedded-image itself"):
        find(f"embedded-image{RANDOM}")


@pytest.mark.checkpoint
@pytest.mark.parametrize(
    ("name", "upload"), [("embedded-image", picture()), ("embedded-video", clip())]
)
def test_the_embedded_models_make_as_many_tokens_as_their_cards_say(name, upload) -> None:
    prompt = load(name, device="cpu").prepare(upload, "Where is it?")
    assert len(prompt.layout) == find(name).tokens


def test_the_large_models_make_no_more_tokens_than_their_cards_say() -> None:
    llava = SHAPES["llava-1.5-7b"]().vision_config
    assert find("llava-1.5-7b").tokens == (llava.image_size // llava.patch_size) ** 2
    card, config = find("llava-onevision-7b"), SHAPES["llava-onevision-7b"]()
    most = 0
    for height, width in np.random.default_rng(0).integers(200, 3000, (50, 2)).tolist():
        layout, newlines = lay_out(config, (height, width))
        most = max(most, len(layout) + len(newlines))
    side = -(-(384 // 14) // 2)
    assert card.frames * side**2 + 1 < most <= card.tokens


def test_listing_the_models_imports_nothing_heavy() -> None:
    code = (
        "import sys, models.catalog, models.loading, models.memory, models.weights;"
        "models.weights.is_downloaded(models.catalog.find('llava-1.5-7b'));"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_folder_of_the_checkout_is_one() -> None:
    root = Path(catalog.__file__).parents[1]
    assert all((root / card.source).is_dir() for card in CATALOG if not card.revision)
