"""InternVL: its lanes equal `generate()`, and its tokens lie where they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.engine.pipeline import run_lane
from models.families.tiles import lay_out
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create
from tests.models.test_exactness import assert_equal
from tests.models.tiny_internvl import tiny_internvl
from tests.tiny import picture, prefilled

SIZES = [(60, 90), (48, 48), (150, 40), (300, 300)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "kernel"), [(torch.float32, "sdpa"), (torch.bfloat16, "eager")], ids=str
)
def test_vanilla_is_generate(size: tuple[int, int], dtype: torch.dtype, kernel: str) -> None:
    assert_equal(tiny_internvl(dtype, kernel=kernel), picture(*size))


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


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_for_pictures_runs_or_refuses_in_a_sentence(method: type) -> None:
    if "image" not in method.media:
        return
    for size in ((48, 48), (60, 90)):
        run = create(method.name)
        try:
            *_, result = run_lane(tiny_internvl(), picture(*size), "?", run, max_new_tokens=2)
        except UnsupportedError as error:
            assert f"{error}".endswith(".")
        else:
            assert result.new_tokens <= 2 and np.isfinite(result.tflops)


def test_attention_is_that_of_the_eager_model() -> None:
    adapter = tiny_internvl(kernel="eager")
    lane = prefilled(adapter, create("visionzip", retention_ratio=0.5), picture())
    tower, encoder = adapter.model.model.vision_tower, adapter.encoder
    with torch.inference_mode():
        states = tower(lane.prompt.pixels, output_hidden_states=True, output_attentions=True)
        index = encoder.depth - 1
        hidden = states.hidden_states[index]
        ours = encoder.attention(index, hidden[:, :1], encoder.keys(index, hidden))
    wanted = states.attentions[index][:, :, 0].mean(dim=1)
    torch.testing.assert_close(ours[..., 0], wanted, atol=1e-6, rtol=1e-4)
