"""How fast the embedded models train on the device: a few steps of encoder and LLM, unsaved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from app.measure.gpu.costs import median_ms
from app.measure.uploads import QUESTION, random_upload
from models.loading import load

MODELS = {"embedded-image": 0, "embedded-video": 16}  # frames of the random upload
BATCHES, TINY_BATCHES = (16, 64, 256), (1,)
STEPS = 5


def training(device: str) -> dict[str, Any]:
    """Milliseconds per step and uploads per second, by model and batch size.

    Stock forward with a loss over all rows, and AdamW: the cost of encoder, projector and LLM. The
    drawing of batches and the heads that training adds are left out.
    """
    rows, tiny = [], device == "cpu"
    for model, frames in MODELS.items():
        for batch in TINY_BATCHES if tiny else BATCHES:
            row = {"model": model, "batch": batch}
            try:
                row |= trained(model, min(frames, 2) if tiny else frames, batch, device)
            except Exception as error:  # any: the other batches run
                row["refused"] = f"{type(error).__name__}: {error}"[:200]
            rows.append(row)
    return {"rows": rows, "dtype": "float32" if tiny else "bfloat16 autocast"}


def trained(name: str, frames: int, batch: int, device: str) -> dict[str, Any]:
    """A few optimiser steps at one batch size."""
    adapter: Any = load(name, device, "float32")
    model: nn.Module = adapter.model.train().requires_grad_(True)
    inputs = prompts(adapter, frames, batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)
    on_cuda = device == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=on_cuda):
            loss = model(**inputs, labels=inputs["input_ids"]).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    ms = median_ms(step, device, STEPS if on_cuda else 1, warm_up=2 if on_cuda else 0)
    peak = torch.cuda.max_memory_allocated() / 1e6 if on_cuda else None
    return {"step_ms": round(ms, 2), "uploads_s": round(1e3 * batch / ms, 1), "peak_mb": peak}


def prompts(adapter: Any, frames: int, batch: int) -> dict[str, Tensor]:
    """One upload and question `batch` times, as arguments of the stock model."""
    prompt = adapter.prepare(random_upload(frames, (384, 384)), QUESTION)
    places = len(prompt.layout) + len(prompt.separators)
    marked = prompt.before.new_full((places,), adapter.marker(prompt.kind))
    ids = torch.cat([prompt.before, marked, prompt.after])[None]
    pixels = {
        name: value.repeat(batch, *[1] * (value.dim() - 1))
        for name, value in adapter.stock_pixels(prompt).items()
    }
    ids = ids.repeat(batch, 1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels}
