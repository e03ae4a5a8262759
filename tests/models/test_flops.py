"""The FLOPs formula equals torch's counter and the papers' published numbers."""

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
    Qwen2_5_VLForConditionalGeneration,
)

from models.engine.base import Adapter, Prompt, Sequence
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

pytestmark = pytest.mark.slow

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
def test_the_formula_equals_the_counter(setting: Setting, method: CompressionMethod) -> None:
    """Eager attention: the counter does not count the CPU's sdpa kernel."""
    adapter = setting.model(kernel="eager")
    with FlopCounterMode(display=False) as counter:
        lane = prefilled(adapter, method, setting.upload())
    rows, survivors = lane.state.rows_per_layer, len(lane.token_map)
    assert adapter.flops(lane.prompt, Needs(), survivors, rows) == counted(counter)


def counted(counter: FlopCounterMode) -> int:
    """All FLOPs except rotary tables, which some releases of transformers multiply."""
    rotary = counter.get_flop_counts().get("LlamaRotaryEmbedding", {})
    return counter.get_total_flops() - sum(rotary.values())


@torch.inference_mode()
def measure(
    model_type: type,
    adapter_type: type,
    name: str,
    pixels: tuple[int, ...],
    layout: TokenLayout,
    num_text: int,
    rows: int,
    kind: str = "image",
) -> tuple[Adapter, int]:
    """The adapter of a published shape, and the FLOPs of its encoder, projector and prefill.

    Runs the operators on meta tensors, without weights; the formula must equal the counter.
    """
    config, count = SHAPES[name](), len(layout)
    axes = (3,) if "qwen" in name else ()
    with torch.device("meta"):
        model = model_type(config).eval().requires_grad_(False)
        views, embeds = torch.empty(pixels), torch.empty(rows, config.text_config.hidden_size)
        text = torch.zeros(num_text, dtype=torch.int64)
        positions = torch.zeros((*axes, rows), dtype=torch.int64)
    adapter = adapter_type(model, None, None)
    prompt = Prompt(text, text, views, layout, (0.0, 0.0, 1.0, 1.0), kind)
    visual, anchors = torch.arange(num_text, num_text + count), torch.arange(count)
    sequence = Sequence(embeds, positions, visual, num_text, anchors, layout)
    with FlopCounterMode(display=False) as counter:
        features = adapter.encode(prompt, Needs()).features
        adapter.project(features)
        prefill(adapter.decoder, sequence, Scatter(), Budget(count))
    total = adapter.flops(prompt, Needs(), count, (rows,) * adapter.decoder.num_layers)
    assert len(features) == count
    assert total == counted(counter)
    return adapter, total


def test_llava_7b_costs_what_its_layers_cost() -> None:
    layout, pixels = TokenLayout.regular(1, 24, 24), (1, 3, 336, 336)
    _, total = measure(
        LlavaForConditionalGeneration, LlavaAdapter, "llava-1.5-7b", pixels, layout, 32, 640
    )
    assert total / 1e12 == pytest.approx(8.504 + 0.382 * 23 / 24 + 0.024, abs=0.002)


def test_onevision_7b_costs_what_its_layers_cost() -> None:
    """32 frames of 729 patches, pooled to 196 each after the projector."""
    stock, ours = LlavaOnevisionForConditionalGeneration, LlavaOnevisionAdapter
    layout, pixels = TokenLayout.regular(32, 14, 14), (32, 3, 384, 384)
    _, total = measure(stock, ours, "llava-onevision-7b", pixels, layout, 20, 6313, "video")
    assert total / 1e12 == pytest.approx(98.39 + 20.54 + 0.79, abs=0.02)


def test_qwen2_5_vl_7b_costs_what_its_layers_cost() -> None:
    """A picture of 1008 x 1008 pixels; most encoder blocks have window attention."""
    stock, ours = Qwen2_5_VLForConditionalGeneration, Qwen25VLAdapter
    layout, pixels = TokenLayout.regular(1, 36, 36), (72 * 72, 3 * 2 * 14 * 14)
    adapter, _ = measure(stock, ours, "qwen2.5-vl-7b", pixels, layout, 20, 1336)
    assert adapter.decoder.flops((1336,) * 28) / 1e12 == pytest.approx(18.15, abs=0.01)


@pytest.mark.parametrize("case", STAIRCASES)
def test_published_staircases_equal_the_formula(case: str) -> None:
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


def test_encoder_layers_after_the_deepest_needed_state_are_not_counted() -> None:
    adapter = tiny_llava()
    prompt = adapter.prepare(picture(), "?")
    shallow, deep = (
        adapter.flops(prompt, needs, 36, (50,) * 8)
        for needs in (Needs(), Needs(encoder_span=(0.5, 1.0)))
    )
    assert deep - shallow == LayerShape(48, 4, 4, 12, 96, 2).flops(37)
