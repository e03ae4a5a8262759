"""EVS: keeps the tokens that differ from the token at their place one frame before."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

from pruning.base import BeforeLLM, Seam
from pruning.budget import Target
from pruning.ops.grid import grid_of
from pruning.ops.select import best
from pruning.ops.tree import link_in_place
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens

NEW = 2.0  # the difference of a token of the first frame, the largest there is


@dataclass(frozen=True)
class EVS(BeforeLLM):
    """Keep the first frame whole, and of all later tokens those least like the one before them.

    Efficient Video Sampling. Frames have no quota: of a scene that stands still, only the first
    frame may remain. The token before is the original one, kept or not.

    Paper      NVIDIA, arXiv 2510.14624
    Code       sgl-project/sglang @ 1966fd0, evs_core.py, which is vLLM's rule
    Where      before the LLM, on projected tokens
    Positions  PESP
    Differs    the paper compares pixels of patches; its code compares projected tokens by their
               cosine, as here. In float32: in bfloat16 equal values prefer early frames. A ratio
               too low for the first frame is refused; the release keeps that frame alone
    """

    name = "evs"
    title = "EVS"
    summary = "Keeps the first frame, then the tokens that change from one frame to the next."
    paper = "https://arxiv.org/abs/2510.14624"
    code = "https://github.com/sgl-project/sglang"
    seam = Seam.PROJECTED
    media = frozenset({"video"})
    needs_grid = True

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        frames, *_ = grid_of(visual.layout, self.title)
        target = Target(self.title, len(visual), 1, keep / len(visual))
        target.require(1 / frames, f"keeps the first of {frames} frames whole")
        tokens = visual.features.float().view(frames, len(visual) // frames, -1)  # (T, N, D)
        return best(difference(tokens), keep)


def difference(tokens: Tensor) -> Tensor:
    """(T, N, D) -> (n,) one minus the cosine with the token before; `NEW` in the first frame."""
    similarity, _ = link_in_place(tokens)  # (n,)
    later = 1 - similarity[tokens.shape[1] :]
    return pad(later, (tokens.shape[1], 0), value=NEW)
