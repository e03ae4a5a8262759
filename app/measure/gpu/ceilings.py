"""What this device can do at best: by it the other figures are judged."""

from __future__ import annotations

from typing import Any

import torch

from app.measure.gpu.report import median_ms

SIDE, BYTES = 8192, 2 << 30  # of a matrix, and of a copy
TINY_SIDE, TINY_BYTES = 256, 1 << 22


def ceilings(device: str, tiny: bool) -> dict[str, Any]:
    """GB/s of a copy, read and written, and TFLOP/s of a bfloat16 matrix product."""
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
