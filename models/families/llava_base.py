"""Base of the LLaVA adapters: one encoder, ids on one axis, separators among the tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.engine.base import Prompt, Sequence
from models.engine.encoder import VisionEncoder
from models.engine.flops import matmul_flops
from models.engine.separators import number, raster_places, weave
from models.families.stock import StockAdapter
from pruning.base import Needs, PositionStrategy
from pruning.ops.select import remaining
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True, eq=False, repr=False)
class LlavaBase(StockAdapter):
    """Splices and counts FLOPs for LLaVA models; a family adds its pixels and layout."""

    @property
    def encoder(self) -> VisionEncoder:
        raise NotImplementedError

    def encoder_of(self, prompt: Prompt) -> VisionEncoder:
        return self.encoder

    @property
    def separator(self) -> Tensor:
        """Embedding (1, D) of a separator; (0, D) if the family has none."""
        return self.decoder.model.embed_tokens.weight[:0]

    def separators(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Placed tokens (R,) before each row among the visual tokens, and embeddings (R, D)."""
        return prompt.separators, self.separator.expand(len(prompt.separators), -1)

    def splice(
        self,
        prompt: Prompt,
        visual: VisualTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        embed, start, num_after = self.decoder.embed, len(prompt.before), len(prompt.after)
        places = raster_places(visual.layout, token_map.anchors)  # (K,)
        count = visual.layout.num_placed
        stops, separators = self.separators(prompt)
        rows, ids, end = number(strategy, places, count, stops)
        between = weave(rows, separators, tokens)  # (R + K, D)
        before, after = (torch.arange(length, device=ids.device) for length in (start, num_after))
        return Sequence(
            embeds=torch.cat([embed(prompt.before), between, embed(prompt.after)]),
            positions=torch.cat([before, start + ids, start + end + after]),
            visual=start + remaining(rows, len(ids)),
            num_after=num_after,
            anchors=token_map.anchors,
            layout=visual.layout,
        )

    def stock_pixels(self, prompt: Prompt) -> dict[str, Tensor]:
        return {"pixel_values": prompt.pixels}

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        inner = self.model.config.vision_config.hidden_size
        outer = self.model.config.text_config.hidden_size
        projector = matmul_flops(projected, inner, outer) + matmul_flops(projected, outer, outer)
        encoder = self.encoder.flops(needs, prompt.pixels)
        return encoder + projector + self.decoder.flops(rows_per_layer)
