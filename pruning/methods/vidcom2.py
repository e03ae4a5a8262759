"""VidCom2: spends tokens on unusual frames, and in each frame on unusual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pruning.base import BeforeLLM, Positions, PositionStrategy, Seam, knob
from pruning.ops.grid import grid_of
from pruning.ops.select import rank_within
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

BANDWIDTHS = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of the Gaussian kernels


@dataclass(frozen=True)
class VidCom2(BeforeLLM):
    """Rank tokens by their distance to the mean of the clip and to the mean of their frame.

    Distances are sums of Gaussian kernels over the channels of lowest variance. The frames whose
    tokens are far from the clip's mean get a larger share.

    Paper      VidCom², EMNLP 2025, arXiv 2505.14454
    Code       xuyang-liu16/VidCom2 @ 944a17d, token_compressor/vidcom2/vidcom2.py; the exact count:
               vllm-project/vllm @ 0f17ee0, video_prune/vidcom2.py
    Where      before the LLM, on projected tokens
    Positions  PERC, as released for LLaVA; PESP for Qwen
    Differs    the count is exact, as in vLLM: it adds or drops the best or worst tokens of the
               clip, so a frame may become empty. The release rounds in every frame. In float32
    """

    name = "vidcom2"
    title = "VidCom²"
    summary = "Gives unusual frames more tokens, and keeps the unusual tokens of each frame."
    paper = "https://arxiv.org/abs/2505.14454"
    code = "https://github.com/xuyang-liu16/VidCom2"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True
    published = Positions(before=PositionStrategy.PERC)
    PRESETS: ClassVar = {
        "llava": {},
        "qwen2.5-vl": {"numbering": "pesp"},
        "qwen3-vl": {"numbering": "pesp"},
    }

    channel_share: float = knob(0.5, 0.01, 1.0, help="channels of lowest variance that count")
    temperature: float = knob(0.01, 0.001, 1.0, help="small: one frame gets twice the tokens")

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        n = len(visual)
        if keep >= n:
            return TokenMap.identity(n, visual.features.device)
        frames, *_ = grid_of(visual.layout, self.title)
        tokens = visual.features.float().view(frames, n // frames, -1)  # (T, N, D)
        of_clip, of_frame = self.ordinariness(tokens)  # (T, N) each
        kept = self.choose(of_clip, of_frame, keep / n, keep)
        return TokenMap.select(kept, n, scores=-(of_clip + of_frame).flatten())

    def choose(self, of_clip: Tensor, of_frame: Tensor, ratio: float, keep: int) -> Tensor:
        """Indices (K,) of the `keep` survivors: each frame's share first, then any of the clip."""
        per_frame = of_clip.shape[1]
        counts = (self.shares(of_clip, ratio) * per_frame).round().clamp_min(1)  # (T,)
        unusual = -(of_clip + of_frame).flatten()  # (n,)
        frame = torch.arange(len(unusual), device=unusual.device) // per_frame  # (n,)
        in_share = rank_within(frame, unusual) < counts[frame]  # (n,)
        order = unusual.argsort(descending=True, stable=True)  # (n,)
        order = order[(~in_share[order]).long().argsort(stable=True)]
        return order[:keep].sort().values

    def ordinariness(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Closeness (T, N) of each token to the mean of the clip, and of its frame: 0 to 5."""
        count = max(1, int(self.channel_share * tokens.shape[-1]))
        variance = tokens.flatten(0, 1).var(dim=0, unbiased=False)  # (D,)
        channels = variance.argsort(stable=True)[:count]
        unit = normalize(tokens[..., channels], dim=-1)  # (T, N, C)
        return closeness(unit, unit.mean(dim=(0, 1))), closeness(unit, unit.mean(1, keepdim=True))

    def shares(self, of_clip: Tensor, ratio: float) -> Tensor:
        """(T,) share of its tokens that each frame keeps."""
        unusual = -of_clip.mean(dim=1)  # (T,)
        weight = ((unusual - unusual.max()) / self.temperature).softmax(dim=0)
        return (ratio * (1 + weight - 1 / len(weight))).clamp_max(1)


def closeness(tokens: Tensor, centre: Tensor) -> Tensor:
    """(…, D) -> (…) sum of Gaussian kernels of the distance to `centre`."""
    square = (tokens - centre).square().sum(dim=-1)
    kernels = [torch.exp(-square / (2 * bandwidth)) for bandwidth in BANDWIDTHS]
    return torch.stack(kernels).sum(dim=0)
