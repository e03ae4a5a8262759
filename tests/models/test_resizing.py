"""Down-sampling: a lane on a smaller picture is what stock transformers makes of that picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.engine.base import Adapter, Prompt
from models.engine.pipeline import Lane
from models.families.qwen_pixels import resize
from models.uploads.media import Media
from pruning.methods import create
from tests.tiny import SETTINGS, Setting, picture, prefilled, tiny_llava, tiny_qwen2_5_vl

RATIO = 0.3
GRIDDED = [setting for setting in SETTINGS if setting.has_grid]
over_grids = pytest.mark.parametrize("setting", GRIDDED, ids=lambda setting: setting.id)


def downsampled(setting: Setting) -> Lane:
    method = create("downsample", retention_ratio=RATIO)
    return prefilled(setting.model(), method, setting.upload())


def stock_logits(adapter: Adapter, prompt: Prompt) -> torch.Tensor:
    stock = adapter.generate(prompt, 1, output_logits=True, return_dict_in_generate=True)
    return stock.logits[0][0].float()


@over_grids
def test_the_smaller_picture_has_the_tokens_of_the_budget(setting: Setting) -> None:
    lane = downsampled(setting)
    frames, rows, cols = lane.prompt.layout.grid
    assert len(lane.visual) == frames * rows * cols == lane.budget.before < len(lane.places)
    assert lane.trace().average == pytest.approx(RATIO, abs=0.11)
    assert lane.trace().layout.grid == lane.places.grid
    assert [phase.tokens_out for phase in lane.phases[:3]] == [len(lane.visual)] * 3


def test_a_llava_sees_what_stock_transformers_makes_of_the_smaller_picture() -> None:
    (setting,) = (each for each in SETTINGS if each.id == "llava")
    lane = downsampled(setting)
    with torch.inference_mode():
        stock = lane.adapter.model.model.get_image_features(
            lane.prompt.pixels,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
            interpolate_pos_encoding=True,
        )
    assert torch.equal(lane.tokens, stock.pooler_output[0])


@pytest.mark.parametrize(
    "family", ["qwen2.5-picture", "qwen2.5-clip", "qwen3-picture", "qwen3-clip"]
)
def test_a_qwen_sees_what_stock_transformers_makes_of_the_smaller_picture(family: str) -> None:
    (setting,) = (each for each in SETTINGS if each.id == family)
    lane = downsampled(setting)
    stock = stock_logits(lane.adapter, lane.prompt)
    assert (lane.state.logits - stock).abs().max() < 1e-5


def test_a_smaller_frame_has_a_newline_for_each_of_its_rows() -> None:
    (setting,) = (each for each in SETTINGS if each.id == "rows")
    lane = downsampled(setting)
    height, width = lane.prompt.pixels.shape[-2:]
    patch = lane.adapter.model.config.vision_config.patch_size
    _, rows, cols = lane.prompt.layout.grid
    assert (height, width) == (2 * rows * patch, 2 * cols * patch)
    newlines = lane.prompt.separators.diff().unique().tolist()
    assert newlines in ([cols], [])


def test_a_qwen_reads_frames_of_exactly_the_pixels_of_the_grid() -> None:
    adapter, media = tiny_qwen2_5_vl(), picture()
    small = adapter.prepare(media, "?", (1, 2, 3))
    shrunk = replace(media, frames=resize(media.frames, 32, 48))
    assert small.layout.grid == (1, 2, 3)
    assert torch.equal(small.pixels, adapter.prepare(shrunk, "?").pixels)


def test_the_encoder_s_work_falls_with_the_pixels() -> None:
    adapter, media = tiny_llava(), picture()
    rows = (10,) * adapter.decoder.num_layers
    costs = [
        adapter.flops(adapter.prepare(media, "?", grid), create("vanilla").needs, 9, rows)
        for grid in ((1, 6, 6), (1, 3, 3))
    ]
    assert costs[1] < costs[0]


@pytest.mark.parametrize("grid", [(1, 1, 1), (1, 1, 6), (1, 5, 2)])
def test_a_picture_may_be_as_small_as_a_token(grid: tuple[int, int, int]) -> None:
    adapter = tiny_llava()
    prompt = adapter.prepare(picture(), "?", grid)
    assert len(adapter.encode(prompt, create("visionzip").needs)) == 1 + grid[1] * grid[2]


def test_crops_are_refused() -> None:
    (crops,) = (setting for setting in SETTINGS if not setting.has_grid)
    with pytest.raises(ValueError, match="Down-sampling needs its visual tokens on a regular grid"):
        downsampled(crops)


def test_a_composed_method_prunes_the_tokens_of_the_smaller_picture() -> None:
    media: Media = picture()
    method = create("downsample.before+fastv.inner", retention_ratio=0.3)
    lane = prefilled(tiny_llava(), method, media)
    ((layer, token_map),) = lane.inner_maps
    assert token_map.n == len(lane.visual) and len(token_map) == dict(lane.budget.inner)[layer]
    assert lane.trace().per_layer[0] == len(lane.visual) < 36
