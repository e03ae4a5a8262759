"""SmolVLM: its lanes equal `generate()`, and its tokens lie where they are drawn."""

from __future__ import annotations

import pytest
import torch
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from models.families.smolvlm import AROUND, WHOLE_PICTURE, marks
from tests.models.tiny_smolvlm import tiny_smolvlm
from tests.tiny import picture


@pytest.mark.parametrize("grid", [(0, 0), (1, 1), (1, 2), (3, 2)], ids=str)
def test_the_text_around_the_views_is_that_of_the_processor(grid: tuple[int, int]) -> None:
    wanted = get_image_prompt_string(*grid, 2, AROUND, "<image>", WHOLE_PICTURE)
    views = "".join(f"{mark}<image><image>" for mark in marks(*grid))
    assert f"{views}{AROUND}" == wanted


def test_every_token_lies_in_the_tile_that_it_was_cut_from() -> None:
    upload = picture(48, 96)  # two tiles as it is
    prompt = tiny_smolvlm().prepare(upload, "?")
    box, view = prompt.layout.box, prompt.layout.view
    assert len(box) == 3 * 9 and len(prompt.between) == 2
    shown = torch.from_numpy(upload.frames[0] / 127.5 - 1).permute(2, 0, 1).float()
    for number, left in ((1, 0.0), (2, 0.5)):
        tile = shown[:, :, int(96 * left) :][:, :, :48]
        torch.testing.assert_close(prompt.pixels[number - 1], tile, atol=1e-5, rtol=0)
        assert box[view == number].min(axis=0).tolist()[:2] == [left, 0]
        assert box[view == number].max(axis=0).tolist()[2:] == [left + 0.5, 1]
    assert box[view == 0].max(axis=0).tolist()[2:] == [1, 1]
