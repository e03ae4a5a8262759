"""The widest float format of a device, for sums and quotas whose rounding decides."""

from __future__ import annotations

import torch
from torch import Tensor


def widest(x: Tensor) -> Tensor:
    """`x` in float64; in float32 on Apple's GPUs, which have no float64."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)
