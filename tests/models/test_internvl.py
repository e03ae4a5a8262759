"""InternVL: its lanes equal `generate()`, and its tokens lie where they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from models.families.tiles import lay_out
from tests.models.test_exactness import assert_equal
from tests.models.tiny_internvl import tiny_internvl
from tests.tiny import picture

SIZES = [(60, 90), (48, 48), (150, 40), (300, 300)]


def test_vanilla_is_generate_with_the_llm_of_internvl_3() -> None:
    assert_equal(tiny_internvl(llm="qwen2"), picture())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_token_lies_in_the_tile_that_it_was_cut_from(size: tuple[int, int]) -> None:
    adapter = tiny_internvl()
    prompt = adapter.prepare(picture(*size), "?")
    assert len(prompt.layout) == 9 * len(prompt.pixels)
    areas = np.prod(prompt.layout.box[:, 2:] - prompt.layout.box[:, :2], axis=1)
    covers = 1 if len(prompt.pixels) == 1 else 2  # the tiles, and the thumbnail
    assert areas.sum() == pytest.approx(covers)
    assert (prompt.layout.grid is not None) == (covers == 1)


def test_the_second_tile_of_a_row_is_on_the_right() -> None:
    layout = lay_out(1, 2, 2)
    np.testing.assert_allclose(layout.box[4], [0.5, 0, 0.75, 0.5])
    np.testing.assert_allclose(layout.box[9], [0.5, 0, 1, 0.5])  # of the thumbnail
    assert layout.view.tolist() == [1] * 4 + [2] * 4 + [0] * 4
