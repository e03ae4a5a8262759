"""Model cards agree with the models they name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import catalog
from models.catalog import CATALOG, INT4, RANDOM, find
from models.families.anyres import lay_out
from models.loading import FAMILIES, load, load_card
from models.shapes import SHAPES
from tests.tiny import clip, picture

HOSTED = [card for card in CATALOG if card.revision]


def test_names_are_unique_and_every_card_has_a_family_and_a_shape() -> None:
    assert len({card.name for card in CATALOG}) == len(CATALOG)
    assert {card.family for card in CATALOG} <= set(FAMILIES)
    assert {card.name for card in HOSTED} <= set(SHAPES)


def test_a_model_comes_with_the_guide_that_its_card_names() -> None:
    guided = replace(find("embedded-image"), name="guided", guide="embedded-video")
    named = load_card(guided, device="cpu").guide
    guide = named.load()
    assert named.title == find("embedded-video").title
    assert guide.media == find("embedded-video").media
    assert guide.guide is None


def test_a_guide_is_a_listed_model_that_accepts_the_uploads_of_its_model() -> None:
    for card in CATALOG:
        if card.guide:
            assert find(card.guide).media >= card.media and not find(card.guide).guide


def test_an_unknown_name_is_refused_with_the_list_of_models() -> None:
    for name in ("gpt", "llava-hf/llava-1.5-7b", "llava-1.5-7b@noise", "../embedded", None, []):
        with pytest.raises(ValueError, match="choose from embedded-image, embedded-video, "):
            find(name)


def test_the_random_suffix_selects_the_same_shape_with_random_weights() -> None:
    card = find(f"llava-1.5-7b{RANDOM}")
    assert card.name == "llava-1.5-7b@random" and card.random
    assert card.title == "LLaVA-1.5 7B (random weights)"
    assert "answers are noise" in card.note_on("Where is the cat?")
    assert find("llava-1.5-7b").note_on("Where is the cat?") == ""


def test_a_model_that_ships_with_its_weights_has_no_other_variant() -> None:
    with pytest.raises(ValueError, match="comes with its weights; choose embedded-image itself"):
        find(f"embedded-image{RANDOM}")
    with pytest.raises(ValueError, match="no 4-bit variant; choose embedded-image itself"):
        find(f"embedded-image{INT4}")


def test_the_int4_suffix_selects_the_same_weights_and_a_guide_of_4_bits() -> None:
    card = find(f"llava-1.5-13b{INT4}")
    assert (card.title, card.guide) == ("LLaVA-1.5 13B (int4)", "llava-1.5-7b:int4")
    assert card.source == find("llava-1.5-13b").source and card.int4


@pytest.mark.checkpoint
@pytest.mark.parametrize(
    ("name", "upload"),
    [("embedded-image", picture()), ("embedded-video", clip(find("embedded-video").frames))],
)
def test_the_embedded_models_have_the_token_counts_of_their_cards(name, upload) -> None:
    prompt = load(name, device="cpu").prepare(upload, "Where is it?")
    assert len(prompt.layout) == find(name).tokens


def test_the_large_models_have_at_most_the_token_counts_of_their_cards() -> None:
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


def test_the_folders_of_embedded_models_exist() -> None:
    root = Path(catalog.__file__).parents[1]
    assert all((root / card.source).is_dir() for card in CATALOG if not card.revision)
