"""A vision encoder, layer by layer: features, and exactly the signals that a method asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.capture import encoder_keys, received_attention
from models.flops import LayerShape, matmul_flops
from pruning.base import Needs


@dataclass(frozen=True, eq=False, repr=False)
class VisionEncoder:
    """The stock modules of a vision tower, over B views of n tokens each.

    Hidden state 0 is the embeddings, i + 1 what layer i yields.
    """

    tower: Any
    feature_layer: int  # the hidden state that feeds the projector; negative counts from the end

    prefix: ClassVar[int] = 0  # tokens before the patches

    @property
    def depth(self) -> int:
        return len(self.tower.encoder.layers)

    @property
    def feature_state(self) -> int:
        return self.feature_layer % (self.depth + 1)

    @property
    def side(self) -> int:
        """Patches in a row, and rows."""
        return self.tower.config.image_size // self.tower.config.patch_size

    def span(self, needs: Needs) -> range:
        """The hidden states asked for as shares of depth."""
        if needs.encoder_span is None:
            return range(0)
        low, high = (math.ceil(share * self.depth) for share in needs.encoder_span)
        return range(low, high + 1)

    def deepest(self, needs: Needs) -> int:
        """The last hidden state that anybody looks at."""
        return max([self.feature_state, *self.span(needs)])

    def maps(self, pixels: Tensor, needs: Needs) -> dict[str, Tensor]:
        """For pixels (B, 3, h, w), one vector a token (B, n, ·): features, and what is asked for.

        Attention has one channel; hidden states lie one after another in the channels.
        """
        states = self.hidden_states(pixels, needs)  # (B, n, Dv) each
        maps, entered = {"features": states[self.feature_state]}, states[self.feature_state - 1]
        if needs.encoder & {"attention", "keys"}:
            layer = self.tower.encoder.layers[self.feature_state - 1]
            keys = encoder_keys(layer, entered)  # (B, n, Dv)
            if "keys" in needs.encoder:
                maps["keys"] = keys
            if "attention" in needs.encoder:
                asking = entered[:, : self.prefix or None]  # [CLS], else every token
                views = zip(asking, keys, strict=True)  # one by one: (H, n, n) of all is too much
                received = [received_attention(layer, *view) for view in views]  # (n,) each
                maps["attention"] = torch.stack(received)[..., None]
        if needs.encoder_span:
            maps["hidden"] = torch.cat([states[index] for index in self.span(needs)], dim=-1)
        return maps

    def hidden_states(self, pixels: Tensor, needs: Needs) -> dict[int, Tensor]:
        """Those that are looked at. Layers deeper than the last of them do not run."""
        wanted = {self.feature_state - 1, self.feature_state, *self.span(needs)}
        hidden = self.embed(pixels)
        states = {0: hidden}
        for index, layer in enumerate(self.tower.encoder.layers[: self.deepest(needs)], start=1):
            hidden = layer(hidden, None)
            if index in wanted:
                states[index] = hidden
        return states

    def embed(self, pixels: Tensor) -> Tensor:
        """Hidden state 0, (B, n, Dv)."""
        return self.tower.embeddings(pixels)

    def flops(self, needs: Needs, views: int) -> int:
        """Of the patch embedding and the layers that run, over `views` views."""
        config, patches = self.tower.config, self.side**2
        heads, width = config.num_attention_heads, config.hidden_size
        layer = LayerShape(width, heads, heads, width // heads, config.intermediate_size, 2)
        embedding = matmul_flops(patches, config.num_channels * config.patch_size**2, width)
        return views * (embedding + self.deepest(needs) * layer.flops(self.prefix + patches))
