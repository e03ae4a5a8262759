"""What compressing alone costs on the device, at published sizes, beside official functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from app.measure.gpu.checks import moved
from app.measure.gpu.report import median_ms
from app.measure.gpu.uploads import visual_tokens
from pruning.methods import METHODS, create
from pruning.tokens import VisualTokens

LAYERS = 28  # of Qwen2-7B
SIZES = {  # of an upload: frames, tokens a frame, width, retention ratio
    "clip 32 × 196 × 3584": (32, 196, 3584, 0.1),
    "picture 576 × 1024": (1, 576, 1024, 1 / 9),
}
TINY = {"clip 4 × 49 × 64": (4, 49, 64, 0.25), "picture 64 × 64": (1, 64, 64, 0.25)}


@torch.inference_mode()
def compression(device: str, tiny: bool, official: str) -> dict[str, Any]:
    """Milliseconds of every method that compresses before the LLM, in bfloat16 on CUDA."""
    dtype, repeats = (torch.float32, 1) if tiny else (torch.bfloat16, 10)
    told: dict[str, Any] = {"dtype": str(dtype), "sizes": {}}
    for title, (frames, tokens, width, ratio) in (TINY if tiny else SIZES).items():
        visual = in_dtype(moved(visual_tokens(frames, tokens, width), device), dtype)
        kind = "video" if frames > 1 else "image"
        rows = [
            {"method": each.name} | timed(each.name, visual, ratio, device, repeats)
            for each in METHODS
            if kind in each.media and each.acts("before")
        ]
        if official and kind == "video":
            rows.append(
                beside(partial(official_flashvid, official), visual, ratio, device, repeats)
            )
        told["sizes"][title] = {"retention_ratio": ratio, "rows": rows}
    return told


def in_dtype(visual: VisualTokens, dtype: torch.dtype) -> VisualTokens:
    """The tokens as a model in that dtype gives them; attention stays float32."""
    names = ("features", "keys", "last_keys", "hidden", "frames", "text")
    given = {name: getattr(visual, name) for name in names}
    return replace(visual, **{name: value.to(dtype) for name, value in given.items()})


def timed(
    name: str, visual: VisualTokens, ratio: float, device: str, repeats: int
) -> dict[str, Any]:
    """One method, its tokens moved too; or why it cannot run on drawn signals."""
    try:
        method = create(name, retention_ratio=ratio)
        keep = method.budget(len(visual), LAYERS).before
        ms = median_ms(
            lambda: method.compress(visual, keep).apply(visual.features), device, repeats
        )
    except (ValueError, AssertionError, TypeError, AttributeError) as error:
        return {"refused": f"{error}"[:200] or "needs signals that are not drawn"}
    return {"tokens": keep, "ms": round(ms, 3)}


def beside(
    make: Callable[[VisualTokens, float], Callable[[], object]],
    visual: VisualTokens,
    ratio: float,
    device: str,
    repeats: int,
) -> dict[str, Any]:
    """An official function on the same tokens."""
    try:
        ms = median_ms(make(visual, ratio), device, repeats)
    except Exception as error:  # whatever another project's code raises
        return {"method": "official flashvid", "refused": f"{type(error).__name__}: {error}"[:200]}
    return {"method": "official flashvid", "ms": round(ms, 3)}


def official_flashvid(folder: str, visual: VisualTokens, ratio: float) -> Callable[[], object]:
    """FlashVID's own compression of a clip, from a checkout of its repository."""
    if not Path(folder).is_dir():
        raise ValueError(f"OFFICIAL is {folder!r}, wanted a folder with the official code.")
    sys.path.insert(0, folder)
    from flashvid.configuration_flashvid import FlashVidConfig
    from flashvid.utils import flashvid_compression

    assert visual.attention is not None and visual.layout.grid is not None
    frames = visual.layout.grid[0]
    config = FlashVidConfig(retention_ratio=ratio, token_selection_method="attn_div_v2")
    features = visual.features.unflatten(0, (frames, -1))
    attention = visual.attention.unflatten(0, (frames, -1))
    return lambda: flashvid_compression(features.clone(), attention, config)
