"""The formula is the counter, and the published staircases are the formula."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    LlavaForConditionalGeneration,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)

from models.engine.base import Prompt, Sequence
from models.engine.flops import LayerShape
from models.engine.prefill import prefill
from models.families.llava import LlavaAdapter
from models.families.llava_onevision import LlavaOnevisionAdapter
from models.families.qwen2_5_vl import Qwen25VLAdapter
from models.shapes import SHAPES
from pruning.base import CompressionMethod, Needs
from pruning.budget import Budget
from pruning.tokens import TokenLayout
from tests.models.test_dropping import Scatter
from tests.tiny import SETTINGS, Setting, picture, prefilled, tiny_llava

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "flops.npz", allow_pickle=False)
STAIRCASES = [
    case
    for case in sorted(
        {key.split("/")[0] for key in GOLDEN if "/" in key}, key=lambda c: int(c[4:])
    )
    if json.loads(str(GOLDEN[f"{case}/knobs"]))["kind"] == "staircase"
]


@pytest.mark.parametrize(
    "method",
    [
        Scatter(),
        Scatter(before=7),
        Scatter(inner=((2, 9), (5, 3))),
        Scatter(before=20, inner=((3, 4),)),
    ],
    ids=["whole", "before", "inside", "both"],
)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
def test_the_formula_is_the_counter(setting: Setting, method: CompressionMethod) -> None:
    """Eager, since the counter does not know the CPU's own attention kernel."""
    adapter = setting.model(kernel="eager")
    with FlopCounterMode(display=False) as counter:
        lane = prefilled(adapter, method, setting.upload())
    rows, survivors = lane.state.rows_per_layer, len(lane.token_map)
    assert adapter.flops(lane.prompt, Needs(), survivors, rows) == counted(counter)


def counted(counter: FlopCounterMode) -> int:
    """All but the rotary tables, which some releases of transformers make by a product."""
    rotary = counter.get_flop_counts().get("LlamaRotaryEmbedding", {})
    return counter.get_total_flops() - sum(rotary.values())


@torch.inference_mode()
def test_llava_7b_costs_what_its_layers_cost() -> None:
    """On meta tensors: no weights, no arithmetic, the same operators."""
    config = SHAPES["llava-1.5-7b"]()
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config).eval().requires_grad_(False)
        pixels, embeds = torch.empty(1, 3, 336, 336), torch.empty(640, 4096)
        text, positions = torch.zeros(32, dtype=torch.int64), torch.arange(640)
    adapter, layout = LlavaAdapter(model, None, None), TokenLayout.regular(1, 24, 24)
    prompt = Prompt(text, text, pixels, layout, (0.0, 0.0, 1.0, 1.0))
    visual, anchors = torch.arange(32, 608), torch.arange(576)
    sequence = Sequence(embeds, positions, visual, 32, anchors, layout)
    with FlopCounterMode(display=False) as counter:
        adapter.project(adapter.encode(prompt, Needs()).features)
        prefill(adapter.decoder, sequence, Scatter(), Budget(576))
    total = adapter.flops(prompt, Needs(), 576, (640,) * 32)
    assert total == counted(counter)
    assert total / 1e12 == pytest.approx(8.504 + 0.382 * 23 / 24 + 0.024, abs=0.002)


@torch.inference_mode()
def test_onevision_7b_costs_what_its_layers_cost() -> None:
    """32 frames of 729 patches, pooled to 196 each behind the projector."""
    config = SHAPES["llava-onevision-7b"]()
    with torch.device("meta"):
        model = LlavaOnevisionForConditionalGeneration(config).eval().requires_grad_(False)
        pixels, embeds = torch.empty(32, 3, 384, 384), torch.empty(6313, 3584)
        text, positions = torch.zeros(20, dtype=torch.int64), torch.arange(6313)
    adapter, layout = LlavaOnevisionAdapter(model, None, None), TokenLayout.regular(32, 14, 14)
    prompt = Prompt(text, text, pixels, layout, (0.0, 0.0, 1.0, 1.0), "video")
    visual, anchors = torch.arange(20, 6292), torch.arange(6272)
    sequence = Sequence(embeds, positions, visual, 20, anchors, layout)
    with FlopCounterMode(display=False) as counter:
        assert adapter.encode(prompt, Needs()).features.shape == (6272, 3584)
        prefill(adapter.decoder, sequence, Scatter(), Budget(6272))
    total = adapter.flops(prompt, Needs(), 6272, (6313,) * 28)
    assert total == counted(counter)
    assert total / 1e12 == pytest.approx(98.39 + 20.54 + 0.79, abs=0.02)


@torch.inference_mode()
def test_qwen2_5_vl_7b_costs_what_its_layers_cost() -> None:
    """A picture of 1008 x 1008 pixels, of which most blocks of the encoder see windows."""
    config = Qwen2_5_VLConfig(
        vision_config={"hidden_size": 1280, "out_hidden_size": 3584},
        text_config={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24]},
        },
    )
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config).eval().requires_grad_(False)
        pixels, embeds = torch.empty(72 * 72, 3 * 2 * 14 * 14), torch.empty(1336, 3584)
        text, positions = torch.zeros(20, dtype=torch.int64), torch.zeros(3, 1336)
    adapter, layout = Qwen25VLAdapter(model, None, None), TokenLayout.regular(1, 36, 36)
    prompt = Prompt(text, text, pixels, layout, (0.0, 0.0, 1.0, 1.0))
    visual, anchors = torch.arange(20, 1316), torch.arange(1296)
    sequence = Sequence(embeds, positions, visual, 20, anchors, layout)
    with FlopCounterMode(display=False) as counter:
        assert adapter.encode(prompt, Needs()).features.shape == (1296, 3584)
        prefill(adapter.decoder, sequence, Scatter(), Budget(1296))
    rows = (1336,) * 28
    assert adapter.flops(prompt, Needs(), 1296, rows) == counted(counter)
    assert adapter.decoder.flops(rows) / 1e12 == pytest.approx(18.15, abs=0.01)


@pytest.mark.parametrize("case", STAIRCASES)
def test_published_staircases_are_the_formula(case: str) -> None:
    """Papers count a multiply-accumulate once or twice, and the FFN as two matrices or three."""
    knobs, expected = (
        json.loads(str(GOLDEN[f"{case}/knobs"])),
        float(GOLDEN[f"{case}/expect_tflops"]),
    )
    rows, width, formula = GOLDEN[f"{case}/tokens_per_layer"], knobs["width"], knobs["formula"]
    heads, kv_heads = knobs.get("heads", 32), knobs.get("kv_heads", knobs.get("heads", 32))
    matrices = 2 if formula == "two_matrix_ffn" else 3
    shape = LayerShape(width, heads, kv_heads, width // heads, knobs["ffn"], matrices)
    ours = sum(shape.flops(int(n)) for n in rows) / 1e12
    if formula == "gqa_2flop":  # counts each of attention's two products twice over
        ours += float(sum(4 * int(n) ** 2 * width for n in rows)) / 1e12
    if formula in ("gqa_mac", "three_matrix_mac"):
        ours /= 2
    assert ours == pytest.approx(expected, rel=1e-9)
    if knobs["published"]:
        assert ours == pytest.approx(knobs["published"], rel=knobs["published_rel_tol"])


def test_nothing_below_the_deepest_state_asked_for_is_charged() -> None:
    adapter = tiny_llava()
    prompt = adapter.prepare(picture(), "?")
    shallow, deep = (
        adapter.flops(prompt, needs, 36, (50,) * 8)
        for needs in (Needs(), Needs(encoder_span=(0.5, 1.0)))
    )
    assert deep - shallow == LayerShape(48, 4, 4, 12, 96, 2).flops(37)
