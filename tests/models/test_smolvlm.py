"""SmolVLM: its lanes equal `generate()`, and its tokens lie where they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from models.engine.pipeline import run_lane
from models.families.smolvlm import AROUND, WHOLE_PICTURE, marks
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create
from tests.models.test_exactness import assert_equal
from tests.models.tiny_smolvlm import tiny_smolvlm
from tests.tiny import picture, prefilled

SIZES = [(60, 90), (48, 48), (150, 40)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "kernel"), [(torch.float32, "sdpa"), (torch.bfloat16, "eager")], ids=str
)
def test_vanilla_is_generate(size: tuple[int, int], dtype: torch.dtype, kernel: str) -> None:
    assert_equal(tiny_smolvlm(dtype, kernel=kernel), picture(*size))


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


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_for_pictures_runs_or_refuses_in_a_sentence(method: type) -> None:
    if "image" not in method.media:
        return
    try:
        *_, result = run_lane(tiny_smolvlm(), picture(), "?", create(method.name), max_new_tokens=2)
    except UnsupportedError as error:
        assert f"{error}".endswith(".")
    else:
        assert result.new_tokens <= 2 and np.isfinite(result.tflops)


def test_attention_is_that_of_the_eager_model() -> None:
    adapter = tiny_smolvlm(kernel="eager")
    lane = prefilled(adapter, create("visionzip", retention_ratio=0.5), picture())
    tower, encoder = adapter.model.model.vision_model, adapter.encoder
    with torch.inference_mode():
        states = tower(lane.prompt.pixels, output_hidden_states=True, output_attentions=True)
        index = encoder.depth - 1
        hidden = states.hidden_states[index]
        ours = encoder.attention(index, hidden, encoder.keys(index, hidden))
    wanted = states.attentions[index].mean(dim=(1, 2))
    torch.testing.assert_close(ours[..., 0], wanted, atol=1e-6, rtol=1e-4)
