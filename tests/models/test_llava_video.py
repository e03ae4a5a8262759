"""LLaVA-Video: pooling and newlines as in its own code, and a prompt with frame times."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.engine.base import Prompt
from models.families.llava_video import LlavaVideoAdapter, time_instruction
from models.uploads.media import Media
from models.uploads.video import read_video
from pruning.base import Needs
from pruning.methods import create
from tests.app.factory import clip_file
from tests.models.test_exactness import NEW_TOKENS, QUESTION, assert_equal
from tests.tiny import clip, picture, prefilled, tiny_llava_video

POOLS, NEWLINES = ("average", "bilinear"), ("grid", "frame", "one_token", "no_token")
each_pool = pytest.mark.parametrize("pool", POOLS)
each_newline = pytest.mark.parametrize("newlines", NEWLINES)


@torch.inference_mode()
def official_rows(adapter: LlavaVideoAdapter, prompt: Prompt, pool: str, newlines: str) -> Tensor:
    """Frames as rows of the LLM, frame by frame and row by row, by stock modules alone."""
    inner = adapter.model.model
    tower = inner.vision_tower(prompt.pixels, output_hidden_states=True)
    patches = inner.multi_modal_projector(tower.hidden_states[-1])  # (T, n, D)
    side, newline = math.isqrt(patches.shape[1]), inner.image_newline[None]
    rows: list[Tensor] = []
    for frame in patches.reshape(len(patches), side, side, -1).movedim(-1, 1):  # (D, side, side)
        if pool == "average":
            cells = functional.avg_pool2d(frame[None], 2)[0]
        else:
            size = [math.ceil(side / 2)] * 2
            cells = functional.interpolate(frame[None], size, mode="bilinear")[0]
        for row in cells.movedim(0, -1):  # (cols, D)
            rows += [row, newline] if newlines == "grid" else [row]
        rows += [newline] if newlines == "frame" else []
    rows += [newline] if newlines == "one_token" else []
    return torch.cat(rows)


@torch.inference_mode()
def stock_tokens(adapter: LlavaVideoAdapter, prompt: Prompt, pool: str, newlines: str) -> list[int]:
    """Greedy tokens of stock `generate`, fed rows that none of the adapter's code has arranged."""
    embed = adapter.model.get_input_embeddings()
    visual = official_rows(adapter, prompt, pool, newlines)
    rows = torch.cat([embed(prompt.before), visual, embed(prompt.after)])[None]
    tokens = adapter.model.generate(
        inputs_embeds=rows,
        attention_mask=torch.ones(rows.shape[:2], dtype=torch.int64),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
    )
    return tokens[0].tolist()


@each_pool
@each_newline
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_vanilla_is_generate_over_rows_arranged_by_themselves(
    pool: str, newlines: str, dtype: torch.dtype
) -> None:
    adapter = tiny_llava_video(dtype, pool=pool, newlines=newlines)
    lane = prefilled(adapter, create("vanilla"), clip(), QUESTION)
    start, num_after = len(lane.prompt.before), len(lane.prompt.after)
    rows = official_rows(adapter, lane.prompt, pool, newlines)
    assert torch.equal(lane.sequence.embeds[start:-num_after], rows)
    list(lane.decode(NEW_TOKENS, 0.0, 0))
    assert lane.stream.ids == stock_tokens(adapter, lane.prompt, pool, newlines)
    assert len(set(lane.stream.ids)) > 1  # a model that repeats itself would prove little


def test_pictures_are_encoded_as_in_onevision() -> None:
    assert_equal(tiny_llava_video(), picture())


@pytest.mark.parametrize(
    ("newlines", "stops"),
    [
        ("grid", [2, 4, 6, 8, 10, 12]),
        ("frame", [4, 8, 12]),
        ("one_token", [12]),
        ("no_token", []),
    ],
)
def test_the_config_sets_the_places_of_newlines(newlines: str, stops: list[int]) -> None:
    prompt = tiny_llava_video(newlines=newlines).prepare(clip(3), QUESTION)
    assert prompt.separators.tolist() == stops


def test_a_newline_stands_for_every_row_though_its_tokens_are_gone() -> None:
    method = create("frames", retention_ratio=0.25)
    lane = prefilled(tiny_llava_video(), method, clip(8), QUESTION)
    assert len(lane.sequence.visual) == 8
    assert lane.prompt.num_text == len(lane.prompt.before) + len(lane.prompt.after) + 16


@each_pool
def test_a_box_contains_the_centre_of_its_tokens_patches(pool: str) -> None:
    adapter = tiny_llava_video(pool=pool)
    prompt = adapter.prepare(clip(), QUESTION)
    offsets = (torch.arange(5) * 8 + 4.0) / 43  # patches of 8 pixels in a view of 43
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    middles = torch.stack([x, y], dim=-1).view(1, 25, 2)
    seen = adapter.pool(middles.expand(8, -1, -1), (5, 5)).flatten(0, 1).numpy()  # (N, 2)
    box = prompt.layout.box
    assert (box[:, :2] < seen).all() and (seen < box[:, 2:]).all()
    assert box.max() == pytest.approx((32 if pool == "average" else 40) / 43)


def test_signals_are_pooled_just_as_the_tokens_are() -> None:
    adapter = tiny_llava_video()
    prompt = adapter.prepare(clip(), QUESTION)
    with torch.inference_mode():
        visual = adapter.encode(prompt, Needs(encoder=frozenset({"attention", "keys", "frames"})))
    assert len(visual) == len(visual.attention) == len(visual.keys) == 32
    assert len(visual.frames) == 8


OFFICIAL = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    "\nThe video lasts for 1.25 seconds, and 3 frames are uniformly sampled from it. These frames "
    "are located at 0.00s,0.50s,1.00s.Please answer the following questions related to this video."
    "\nWhere is the cat?<|im_end|>\n<|im_start|>assistant\n",
)


def test_the_prompt_states_frame_times_as_in_training() -> None:
    media = replace(clip(3), times=np.array([0, 0.5, 1.0]), seconds=1.25)
    adapter = tiny_llava_video(times=True)
    prompt = adapter.prepare(media, QUESTION)
    halves = tuple(adapter.tokenizer.decode(half) for half in (prompt.before, prompt.after))
    assert halves == OFFICIAL


def test_the_prompt_states_no_times_unless_the_config_requires_it() -> None:
    _, after = OFFICIAL
    for adapter, media in (
        (tiny_llava_video(times=False), clip()),
        (tiny_llava_video(times=True), picture()),
    ):
        prompt = adapter.prepare(media, QUESTION)
        text = adapter.tokenizer.decode(prompt.after)
        assert text == "\nWhere is the cat?" + after.partition("cat?")[2]


def test_a_special_token_in_a_question_is_refused() -> None:
    adapter = tiny_llava_video()
    with pytest.raises(ValueError, match="contains <image>, a special token of the model"):
        adapter.prepare(clip(), "Where is <image>?")


def test_the_length_of_a_clip_includes_its_last_frame(tmp_path: Path) -> None:
    media = read_video(clip_file(tmp_path / "ball.mp4"), 4)  # of twelve, twelve a second
    assert media.seconds == pytest.approx(1)
    assert time_instruction(media).startswith("The video lasts for 1.00 seconds, and 4 frames")


def test_a_generated_clip_ends_at_its_last_frame() -> None:
    media: Media = clip(5)
    assert media.seconds == 0
    assert time_instruction(media).startswith("The video lasts for 1.00 seconds, and 5 frames")
