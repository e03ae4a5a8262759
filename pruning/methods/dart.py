"""DART: keeps the visual tokens that are least like a few pivots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.base import CompressionMethod, Needs, knob
from pruning.budget import Budget, Target, one_stage, scaled_layer
from pruning.ops.similarity import cosine
from pruning.token_map import TokenMap
from pruning.tokens import LayerView


@dataclass(frozen=True)
class DART(CompressionMethod):
    """After a few layers, a few pivots each keep the visual tokens that are least like them.

    Pivots are the tokens with the longest keys, some of the picture and some of the text. Those of
    the picture stay. One after another, each pivot takes its share of the tokens that are left.

    Paper      Wen et al., EMNLP 2025, arXiv 2502.11494
    Code       Chenfei-Liao/VTC-Bench @ 983e443, external/DART, modeling_llama_self.py
    Where      inside the LLM, by keys of the layer before and hidden states after the last norm
    Positions  PESP
    Differs    read in VTC-Bench, which holds a copy. The ratio sets the count exactly: the release
               keeps 4 tokens more than asked for, and its ratio has no effect. Pivots choose in the
               order of their keys' length, those of the picture first; in the release, in that of a
               Python set, which depends on the length of the prompt before the picture
    """

    name = "dart"
    title = "DART"
    summary = "Keeps, after two layers, the tokens that repeat a few pivots least."
    paper = "https://arxiv.org/abs/2502.11494"
    code = "https://github.com/Chenfei-Liao/VTC-Bench"

    retention_ratio: float = knob(0.25, 0.01, 1.0, help="visual tokens averaged over LLM layers")
    layer: int = knob(2, 1, 31, help="pruning layer, in a 32-layer LLM")
    visual_pivots: int = knob(4, 1, 64, help="pivots among the visual tokens")
    text_pivots: int = knob(4, 0, 64, help="pivots among the text after the picture")

    @property
    def needs(self) -> Needs:
        return Needs(llm=frozenset({"keys", "text_keys", "normed", "text_normed"}))

    def budget(self, num_tokens: int, num_layers: int) -> Budget:
        target = Target(self.title, num_tokens, num_layers, self.retention_ratio)
        return one_stage(target, scaled_layer(self.layer, num_layers))

    def prune(self, view: LayerView, keep: int) -> TokenMap:
        assert view.keys is not None and view.text_keys is not None
        assert view.normed is not None and view.text_normed is not None
        visual = longest(view.keys, min(self.visual_pivots, keep))
        text = longest(view.text_keys, self.text_pivots)
        pivots = torch.cat([view.normed[visual], view.text_normed[text]])  # (P, D)
        picks = least_alike(pivots, view.normed, visual, keep)
        kept, index = torch.cat([visual, picks]).sort()  # (keep,)
        is_pivot = index < len(visual)
        return TokenMap.select(kept, len(view), tags={"pivot": is_pivot, "distinct": ~is_pivot})


def longest(keys: Tensor, count: int) -> Tensor:
    """Rows (count,) of keys (H, V, d) with the largest sums of magnitudes, the largest first."""
    length = keys.float().abs().sum(dim=(0, 2))  # (V,)
    return length.argsort(descending=True, stable=True)[:count]


def least_alike(pivots: Tensor, tokens: Tensor, taken: Tensor, keep: int) -> Tensor:
    """Picks of all pivots (P, D), one pivot after another, from tokens (V, D): `keep` with `taken`.

    Pivots have equally many picks, but the first ones may have one more.
    """
    each, more = divmod(keep - len(taken), len(pivots))
    picks = [taken]
    for turn, similarity in enumerate(cosine(pivots, tokens)):  # (V,)
        left = similarity.index_fill(0, torch.cat(picks), torch.inf)
        picks.append(left.argsort(stable=True)[: each + (turn < more)])
    return torch.cat(picks[1:])
