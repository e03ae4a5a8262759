"""A guide's importance is its attention, by place; SGL keeps the most important tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from models.engine import guide
from models.engine.base import Adapter, Guide
from models.engine.pipeline import run_lane
from models.families.llava import LlavaAdapter
from models.uploads.media import Media
from pruning.methods import create
from pruning.ops.select import top
from tests.tiny import (
    SETTINGS,
    Setting,
    clip,
    llava,
    picture,
    prefilled,
    text_config,
    tiny_llava,
    tiny_onevision,
)

QUESTION = "What is this?"
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)


@lru_cache
def tiny_guide() -> LlavaAdapter:
    """2 layers instead of 8, half as wide, and 4 x 4 tokens instead of 6 x 6."""
    text = text_config(kv_heads=2)
    text.update({"hidden_size": 32, "num_hidden_layers": 2})
    return llava(32, 3, 2, 32, text, seed=3)


def own_importance(adapter: Adapter, media: Media) -> Tensor:
    """Importance (N,) of a model's tokens, with the model as its own guide."""
    with torch.inference_mode():
        layout = adapter.prepare(media, QUESTION).layout
        return guide.run_guide(adapter, media, QUESTION, layout).importance


@torch.inference_mode()
def stock(setting: Setting) -> Tensor:
    """The same, from one pass of the stock model over prompt and answer."""
    eager, media = setting.model(kernel="eager"), setting.upload()
    lane = prefilled(eager, create("vanilla"), media, QUESTION)
    answer = eager.generate(lane.prompt, guide.LONGEST)[0, -guide.LONGEST :]
    sequence, visual = lane.sequence, lane.sequence.visual
    rows = torch.cat([sequence.embeds, eager.decoder.embed(answer)])
    ids = sequence.positions[..., -1:] + 1 + torch.arange(len(answer))
    ids = torch.cat([sequence.positions, ids], dim=-1)  # (…, S)
    deep = {}
    if sequence.deepstack:
        is_visual = torch.zeros(1, len(rows), dtype=torch.bool)
        is_visual[0, visual] = True
        deep = {"visual_pos_masks": is_visual, "deepstack_visual_embeds": sequence.deepstack}
    read = eager.model.model.language_model(
        inputs_embeds=rows[None], position_ids=ids.unsqueeze(-2), output_attentions=True, **deep
    )
    given = [layer[0, :, visual[-1] :][:, :, visual] for layer in read.attentions]  # (H, Q, V)
    return torch.stack(given).sum(dim=(0, 1, 2))


@each_setting
def test_importance_is_the_attention_of_the_question_and_of_the_answer(setting: Setting) -> None:
    importance, expected = own_importance(setting.model(), setting.upload()), stock(setting)
    torch.testing.assert_close(importance, expected, atol=1e-4, rtol=1e-5)


def test_attention_stops_before_the_end_token_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter, media = tiny_llava(), picture()
    prompt = adapter.prepare(media, QUESTION)
    answer = adapter.generate(prompt, guide.LONGEST)[0, -guide.LONGEST :].tolist()
    end = max(answer, key=answer.index)  # the last token to appear for the first time
    assert answer.index(end) > 0
    monkeypatch.setattr(LlavaAdapter, "end_ids", frozenset({end}))
    until_then = own_importance(adapter, media)
    monkeypatch.setattr(LlavaAdapter, "end_ids", frozenset())
    monkeypatch.setattr(guide, "LONGEST", answer.index(end))
    assert torch.equal(until_then, own_importance(adapter, media))


@pytest.mark.parametrize("name", ["sgl", "visionzip.before+sgl.inner"])
def test_sgl_keeps_tokens_by_the_attention_of_a_guide_with_another_grid(name: str) -> None:
    guided = replace(tiny_llava(), guide=Guide("Tiny LLaVA", tiny_guide))
    lane = prefilled(guided, create(name, retention_ratio=0.5), question=QUESTION)
    theirs, (_, token_map) = own_importance(tiny_guide(), picture()), lane.inner_maps[0]
    row, col = torch.arange(36) // 6, torch.arange(36) % 6
    by_centre = theirs.view(4, 4)[(2 * row + 1) * 4 // 12, (2 * col + 1) * 4 // 12]  # (36,)
    cls = len(lane.visual) - 36
    expected = torch.cat([torch.zeros(cls), by_centre])[lane.token_map.anchors]  # (V,)
    assert token_map.anchors.tolist() == top(expected, len(token_map)).tolist()
    torch.testing.assert_close(token_map.scores, expected)


@each_setting
def test_a_model_without_a_guide_keeps_tokens_by_its_own_attention(setting: Setting) -> None:
    lane = prefilled(setting.model(), create("sgl", retention_ratio=0.5), setting.upload())
    (_, token_map), importance = (
        lane.inner_maps[0],
        own_importance(setting.model(), setting.upload()),
    )
    assert token_map.anchors.tolist() == top(importance, len(token_map)).tolist()


def test_no_guide_runs_for_a_method_that_does_not_need_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(guide, "attend_and_answer")
    for method in (create("vanilla"), create("fastv"), create("sgl", retention_ratio=1.0)):
        assert prefilled(tiny_llava(), method).guidance is None


def test_the_flops_and_seconds_of_a_guide_are_counted() -> None:
    guided = replace(tiny_llava(), guide=Guide("Tiny LLaVA", tiny_guide))
    fastv, sgl = (
        list(run_lane(guided, picture(), QUESTION, method, max_new_tokens=2))[-1]
        for method in (create("fastv", layer=9, retention_ratio=0.5), create("sgl"))
    )
    own = list(run_lane(tiny_guide(), picture(), QUESTION, create("vanilla"), max_new_tokens=2))[-1]
    assert sgl.tflops > fastv.tflops + own.tflops  # its answer too
    compress = sgl.timeline.phases[2]
    assert compress.name == "compress" and compress.seconds < sgl.timeline.ttft


@pytest.mark.parametrize(
    ("name", "guide", "title"),
    [
        ("sgl", None, "SGL, guided by itself"),
        ("sgl", Guide("Tiny LLaVA", tiny_guide), "SGL, guided by Tiny LLaVA"),
        ("fastv", Guide("Tiny LLaVA", tiny_guide), "FastV"),
    ],
)
def test_the_title_of_a_lane_names_its_guide(name: str, guide: Guide | None, title: str) -> None:
    guided, method = replace(tiny_llava(), guide=guide), create(name, retention_ratio=0.5)
    *_, result = run_lane(guided, picture(), QUESTION, method, max_new_tokens=1)
    assert result.title == title


def test_a_guide_that_cannot_take_the_upload_is_refused() -> None:
    guided = replace(tiny_onevision(), guide=Guide("Tiny LLaVA", tiny_guide))
    with pytest.raises(ValueError, match="This model's guide"):
        prefilled(guided, create("sgl"), clip())
