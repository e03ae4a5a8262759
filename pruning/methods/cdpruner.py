"""CDPruner: keeps tokens that are relevant to the question and unlike each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import BeforeLLM, Needs, Positions, PositionStrategy, Seam, knob
from pruning.ops.join import frame_by_frame
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

TINY = 1e-6


@dataclass(frozen=True)
class CDPruner(BeforeLLM):
    """Choose tokens one by one so that they span the most volume, scaled by their relevance.

    This is a greedy search for the most probable set of a determinantal point process. In a clip,
    each frame is compressed alone, with its share of the budget; relevance has one scale for all.

    Paper      Zhang et al., NeurIPS 2025, arXiv 2506.10967
    Code       Theia-4869/CDPruner @ 9541616, llava/model/llava_arch.py
    Where      before the LLM, on projected tokens, by the question's embeddings
    Positions  PERC, in raster order
    Differs    relevance as the paper has it for encoders without a text tower: the cosine of a
               token with the mean embedding of the text after the picture. The release uses CLIP's
               text tower, which checkpoints of VLMs do not contain, and counts tokens unlike the
               question as relevant: `relevance` "unlike". Where no token adds volume, the most
               relevant ones fill up; the release chooses one token again and again
    """

    name = "cdpruner"
    title = "CDPruner"
    summary = "Keeps tokens that are relevant to the question and unlike each other."
    paper = "https://arxiv.org/abs/2506.10967"
    code = "https://github.com/Theia-4869/CDPruner"
    seam = Seam.PROJECTED
    published = Positions(before=PositionStrategy.PERC)

    relevance: str = knob(
        "alike", choices=("alike", "unlike", "none"), help="tokens that count, by the question"
    )

    @property
    def needs(self) -> Needs:
        return Needs(encoder=frozenset({"text"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.text is not None
        features = visual.features.float()
        weight = self.weigh(features, visual.text.float().mean(dim=0, keepdim=True))  # (N,)

        def choose(frame: slice, count: int) -> TokenMap:
            kernel = cosine(features[frame], features[frame])  # (n, n)
            chosen = most_volume(kernel, weight[frame], count)
            return TokenMap.select(chosen.sort().values, len(kernel))

        return frame_by_frame(visual.layout, keep, choose, weight)

    def weigh(self, tokens: Tensor, text: Tensor) -> Tensor:
        """(N,) relevance of tokens (N, D) to the rows of a text (M, D), from nearly 0 to 1."""
        if self.relevance == "none":
            return torch.ones(len(tokens), device=tokens.device)
        similarity = cosine(tokens, text).mean(dim=1)  # (N,)
        likeness = similarity if self.relevance == "alike" else -similarity
        span = (likeness.max() - likeness.min()).clamp_min(TINY)
        return (likeness - likeness.min() + TINY) / span


def most_volume(kernel: Tensor, weight: Tensor, count: int) -> Tensor:
    """(count,) tokens, first come first: each adds the most volume to those before it.

    Args:
        kernel: (n, n) cosines of the tokens.
        weight: (n,) relevance; scales rows and columns of the kernel.
        count: at most n.
    """
    kernel = weight[:, None] * kernel * weight
    added = kernel.diagonal().clone()  # (n,) volume that each token would add, squared
    basis = kernel.new_zeros(count, len(kernel))
    left = torch.ones_like(added, dtype=torch.bool)
    order = torch.empty(count, dtype=torch.int64, device=kernel.device)
    for turn in range(count):
        worth = added.where(added > TINY**2, weight - 2)  # where nothing is added: by relevance
        pick = worth.masked_fill(~left, -torch.inf).argmax(dim=0, keepdim=True)  # (1,)
        gain = added[pick]  # (1,)
        length = gain.clamp_min(TINY**2).sqrt()
        along = (kernel[pick][0] - basis[:turn].T @ basis[:turn, pick][:, 0]) / length  # (n,)
        basis[turn] = along * (gain > TINY**2)
        added = (added - basis[turn].square()).clamp_min(0)
        order[turn : turn + 1] = pick
        left = left.index_fill(0, pick, False)
    return order
