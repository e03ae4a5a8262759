"""IVC-Prune: keep what resembles the question, and the tokens by which rotary embedding counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, one_stage, scaled_layer
from pruning.ops.attention import attend
from pruning.ops.select import top
from pruning.token_map import TokenMap
from pruning.tokens import LayerView

UNASKED = 2  # text rows right after the picture, which only close its place in the prompt


@dataclass(frozen=True)
class IVCPrune(CompressionMethod):
    """Keep implicit visual coordinates and the foreground; forget the rest in earlier layers too.

    Seeds are the tokens whose values the question's values are like; the foreground is like both.
    Implicit visual coordinates are the places where the mean cosine, or sine, of rotary embedding
    is greatest: whatever they show, other places are told by them.

    Paper      IVC-Prune, ICLR 2026, arXiv 2602.03060
    Code       FireRedTeam/IVC-Prune @ 03afd9c, modeling_llama.py:IVCP_forward_flashattention
    Where      inside the LLM, by values of the layer before; caches of the layers before are
               trimmed, but not the first one
    Positions  PESP
    Differs    the count is exact and follows from the ratio, and its parts are shares of it, as
               released for Qwen2.5-VL; scores are those released for LLaVA; a question of no more
               than two rows is asked whole
    """

    name = "ivcprune"
    title = "IVC-Prune"
    summary = "Keeps what resembles the question, and the places that position is told by."
    paper = "https://arxiv.org/abs/2602.03060"
    code = "https://github.com/FireRedTeam/IVC-Prune"

    retention_ratio: float = knob(0.75, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    position_share: float = knob(0.2, 0.0, 0.4, help="of survivors, by cosine, and as many by sine")
    seed_share: float = knob(0.02, 0.0, 0.2, help="of survivors, seeds of the foreground")
    layer: int = knob(16, 1, 31, help="pruning layer, in a 32-layer LLM")

    @property
    def needs(self) -> Needs:
        return Needs(
            llm_queries="text",
            llm=frozenset({"values", "text_values", "context_values", "rotary"}),
        )

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        stages = one_stage(target, scaled_layer(self.layer, num_layers))
        # The first cache stays whole, as released: there, its length numbers the answer's tokens.
        return replace(stages, trims_from=1)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.rotary is not None
        seeds, likeness = self.foreground(view, keep)
        cosine, sine = view.rotary.float().mean(dim=2)  # (V,) each
        count = round(self.position_share * keep)
        nobody = torch.zeros_like(likeness, dtype=torch.bool)
        coordinate = nobody.index_fill(0, torch.cat([top(cosine, count), top(sine, count)]), True)
        first = coordinate.index_fill(0, seeds, True)
        kept = top(likeness.masked_fill(first, torch.inf), keep)
        tags = {"coordinate": coordinate[kept], "foreground": ~coordinate[kept]}
        return TokenMap.select(kept, len(view), scores=likeness, tags=tags)

    def foreground(self, view: LayerView, keep: int) -> tuple[Tensor, Tensor]:
        """Seeds, and how much their values and the text's ask for those of each token (V,)."""
        assert view.values is not None
        assert view.text_values is not None and view.context_values is not None
        everyone = torch.cat([view.values, view.text_values, view.context_values], dim=1)
        scale = everyone.shape[-1] ** -0.5

        def asked_by(values: Tensor) -> Tensor:  # (Hkv, Q, d) -> (Q, V)
            return attend(values, everyone, scale).mean(dim=0)[:, : len(view)]

        words = view.text_values[:, UNASKED:]
        by_text = asked_by(words if words.shape[1] else view.text_values)
        seeds = top(by_text.mean(dim=0), max(1, round(self.seed_share * keep)))
        return seeds, torch.cat([by_text, asked_by(view.values[:, seeds])]).mean(dim=0)
