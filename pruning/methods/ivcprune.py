"""IVC-Prune: keeps tokens similar to the question, and those that rotary embedding depends on."""

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

CLOSING = 2  # text rows right after the picture that are no part of the question


@dataclass(frozen=True)
class IVCPrune(CompressionMethod):
    """Keep implicit visual coordinates and the foreground; remove the rest from earlier caches too.

    Seeds are the tokens whose values are most similar to the values of the question. The foreground
    is similar to both. Implicit visual coordinates are the places with the largest mean cosine or
    sine of rotary embedding: the model derives other places from them.

    Paper      IVC-Prune, ICLR 2026, arXiv 2602.03060
    Code       FireRedTeam/IVC-Prune @ 03afd9c, modeling_llama.py:IVCP_forward_flashattention
    Where      inside the LLM, by values of the layer before; caches of the layers before are
               trimmed, but not the first one
    Positions  PESP
    Differs    the count is exact and follows from the ratio; its parts are shares of it, as
               released for Qwen2.5-VL; scores are those released for LLaVA; of a question of at
               most two rows, all rows count
    """

    name = "ivcprune"
    title = "IVC-Prune"
    summary = "Keeps tokens similar to the question, and those that define positions."
    paper = "https://arxiv.org/abs/2602.03060"
    code = "https://github.com/FireRedTeam/IVC-Prune"

    retention_ratio: float = knob(0.75, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    position_share: float = knob(0.2, 0.0, 0.4, help="share of survivors by cosine, and by sine")
    seed_share: float = knob(0.02, 0.0, 0.2, help="share of seeds among the survivors")
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
        # The first cache stays whole, as released: there, its length gives the ids of the answer.
        return replace(stages, trims_from=1)

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.rotary is not None
        seeds, similarity = self.foreground(view, keep)
        cosine, sine = view.rotary.float().mean(dim=2)  # (V,) each
        count = round(self.position_share * keep)
        none = torch.zeros_like(similarity, dtype=torch.bool)
        coordinate = none.index_fill(0, torch.cat([top(cosine, count), top(sine, count)]), True)
        first = coordinate.index_fill(0, seeds, True)
        kept = top(similarity.masked_fill(first, torch.inf), keep)
        tags = {"coordinate": coordinate[kept], "foreground": ~coordinate[kept]}
        return TokenMap.select(kept, len(view), scores=similarity, tags=tags)

    def foreground(self, view: LayerView, keep: int) -> tuple[Tensor, Tensor]:
        """Seeds, and the mean attention (V,) of their values and the text's over all values."""
        assert view.values is not None
        assert view.text_values is not None and view.context_values is not None
        keys = torch.cat([view.values, view.text_values, view.context_values], dim=1)
        scale = keys.shape[-1] ** -0.5

        def attention_of(values: Tensor) -> Tensor:  # (Hkv, Q, d) -> (Q, V)
            return attend(values, keys, scale).mean(dim=0)[:, : len(view)]

        words = view.text_values[:, CLOSING:]
        by_text = attention_of(words if words.shape[1] else view.text_values)
        seeds = top(by_text.mean(dim=0), max(1, round(self.seed_share * keep)))
        return seeds, torch.cat([by_text, attention_of(view.values[:, seeds])]).mean(dim=0)
