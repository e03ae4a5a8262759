"""Limits of a device, and the time that compression alone takes there at published sizes."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from app.measure.uploads import KEYS, random_clip
from pruning.methods import METHODS, create
from pruning.tokens import VisualTokens

SIDE, BYTES = 8192, 2 << 30  # of a matrix, and of a copy
TINY_SIDE, TINY_BYTES = 256, 1 << 22
LAYERS, TEXT = 28, 20  # of Qwen2-7B, and rows of a question
SIZES = {  # of an upload: frames, tokens per frame, width, retention ratio
    "clip 32 × 196 × 3584": (32, 196, 3584, 0.1),
    "picture 576 × 1024": (1, 576, 1024, 1 / 9),
}
TINY_SIZES = {"clip 4 × 49 × 64": (4, 49, 64, 0.25), "picture 64 × 64": (1, 64, 64, 0.25)}


def ceilings(device: str, tiny: bool) -> dict[str, Any]:
    """GB/s of a copy, bytes read and written, and TFLOP/s of a bfloat16 matrix product."""
    side, size = (TINY_SIDE, TINY_BYTES) if tiny else (SIDE, BYTES)
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = median_ms(lambda: target.copy_(source), device, 10)
    multiplied = median_ms(lambda: matrix @ matrix, device, 10)
    return {
        "copy_gb_s": round(2 * size / copied / 1e6, 1),
        "bf16_tflop_s": round(2 * side**3 / multiplied / 1e9, 3),
    }


@torch.inference_mode()
def compression(device: str, tiny: bool, official: str) -> dict[str, Any]:
    """Milliseconds of every method that compresses before the LLM, in bfloat16 on CUDA."""
    dtype, repeats = (torch.float32, 1) if tiny else (torch.bfloat16, 10)
    sizes: dict[str, Any] = {}
    for title, (frames, tokens, width, ratio) in (TINY_SIZES if tiny else SIZES).items():
        visual = to_device(random_tokens(frames, tokens, width, dtype), device)
        kind = "video" if frames > 1 else "image"
        steps = {
            method.name: lambda name=method.name: compress_step(name, visual, ratio)  # noqa: B023
            for method in METHODS
            if kind in method.media and method.acts("before")
        }
        if official and kind == "video":
            steps["official flashvid"] = lambda: official_flashvid(official, visual, ratio)  # noqa: B023
        rows = [{"method": name} | timed(make, device, repeats) for name, make in steps.items()]
        sizes[title] = {"retention_ratio": ratio, "rows": rows}
    return {"dtype": str(dtype).removeprefix("torch."), "sizes": sizes}


def random_tokens(frames: int, tokens: int, width: int, dtype: torch.dtype) -> VisualTokens:
    """A random clip with every signal of an encoder, of two layers where there are several.

    Features, keys and states have the dtype of a model; attention stays float32.
    """
    draw, n = torch.Generator().manual_seed(1), frames * tokens
    visual = replace(
        random_clip(frames, tokens, width),
        last_attention=torch.randn(n, generator=draw).softmax(0),
        last_keys=torch.randn(n, KEYS, generator=draw),
        received=torch.randn(2, n, generator=draw).softmax(1),
        hidden=torch.randn(2, n, KEYS, generator=draw),
        text=torch.randn(TEXT, width, generator=draw),
    )
    names = ("features", "keys", "last_keys", "hidden", "frames", "text")
    return replace(visual, **{name: getattr(visual, name).to(dtype) for name in names})


def to_device(record: Any, device: str) -> Any:
    """A record with its tensors on a device."""
    tensors = {
        field.name: value.to(device)
        for field in fields(record)
        if torch.is_tensor(value := getattr(record, field.name))
    }
    return replace(record, **tensors)


def timed(make: Callable[[], Callable[[], Any]], device: str, repeats: int) -> dict[str, Any]:
    """The median of a step and the tokens it returns, or the reason why it cannot run."""
    try:
        step = make()
        tokens = step().shape[-2]
        return {"tokens": tokens, "ms": round(median_ms(step, device, repeats), 3)}
    except Exception as error:  # any: the other methods run, and official code may raise anything
        return {"refused": f"{type(error).__name__}: {error}"[:200]}


def compress_step(name: str, visual: VisualTokens, ratio: float) -> Callable[[], torch.Tensor]:
    """One compression, its merged tokens included."""
    method = create(name, retention_ratio=ratio)
    keep = method.budget(len(visual), LAYERS).before
    return lambda: method.compress(visual, keep).apply(visual.features)


def official_flashvid(folder: str, visual: VisualTokens, ratio: float) -> Callable[[], Any]:
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

    def step() -> Any:
        compressed = flashvid_compression(features.clone(), attention, config)
        return compressed[0] if isinstance(compressed, tuple) else compressed

    return step


def median_ms(run: Callable[[], object], device: str, repeats: int, warm_up: int = 2) -> float:
    """Milliseconds of a run, with the device synchronised at both edges."""
    times = []
    for _ in range(warm_up + repeats):
        synchronise(device)
        start = time.perf_counter()
        run()
        synchronise(device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[warm_up:])


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
