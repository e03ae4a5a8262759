"""Models of tiles, which fold groups of patches into tokens: InternVL and SmolVLM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from models.engine.pipeline import run_lane
from pruning.errors import UnsupportedError
from pruning.methods import METHODS, create
from tests.models.test_exactness import assert_equal
from tests.models.tiny_internvl import tiny_internvl
from tests.models.tiny_smolvlm import tiny_smolvlm
from tests.tiny import picture, prefilled

SIZES = [(60, 90), (48, 48), (150, 40), (300, 300)]
each_model = pytest.mark.parametrize("tiny", [tiny_internvl, tiny_smolvlm])


@each_model
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "kernel"), [(torch.float32, "sdpa"), (torch.bfloat16, "eager")], ids=str
)
def test_vanilla_is_generate(
    tiny: Callable[..., Any], size: tuple[int, int], dtype: torch.dtype, kernel: str
) -> None:
    assert_equal(tiny(dtype, kernel=kernel), picture(*size))


@each_model
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_for_pictures_runs_or_refuses_in_a_sentence(
    tiny: Callable[..., Any], method: type
) -> None:
    if "image" not in method.media:
        return
    for size in ((48, 48), (60, 90)):
        try:
            run = create(method.name)
            *_, result = run_lane(tiny(), picture(*size), "?", run, max_new_tokens=2)
        except UnsupportedError as error:
            assert f"{error}".endswith(".")
        else:
            assert result.new_tokens <= 2 and np.isfinite(result.tflops)


@each_model
def test_attention_is_that_of_the_eager_model(tiny: Callable[..., Any]) -> None:
    adapter = tiny(kernel="eager")
    lane = prefilled(adapter, create("visionzip", retention_ratio=0.5), picture())
    encoder = adapter.encoder
    with torch.inference_mode():
        states = encoder.tower(
            lane.prompt.pixels, output_hidden_states=True, output_attentions=True
        )
        index = encoder.depth - 1
        hidden = states.hidden_states[index]
        rows = slice(encoder.prefix or None)  # [CLS], or every token if there is none
        ours = encoder.attention(index, hidden[:, rows], encoder.keys(index, hidden))
    wanted = states.attentions[index][:, :, rows].mean(dim=(1, 2))
    torch.testing.assert_close(ours[..., 0], wanted, atol=1e-6, rtol=1e-4)
