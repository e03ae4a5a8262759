"""A vision encoder, layer by layer: features, and exactly the signals that a method asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.engine.capture import encoder_keys, received_attention
from models.engine.flops import LayerShape, matmul_flops
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
    def deep_states(self) -> tuple[int, ...]:
        """The hidden states that reach the LLM beside the features, shallow ones first."""
        return ()

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
        return self.between(needs.encoder_span, self.depth + 1)

    def receivers(self, needs: Needs) -> range:
        """The layers whose received attention is asked for as shares of depth."""
        return self.between(needs.encoder_received, self.depth)

    def between(self, shares: tuple[float, float] | None, count: int) -> range:
        """Those of `count` that lie between two shares of depth, both included."""
        if shares is None:
            return range(0)
        low, high = (math.ceil(share * self.depth) for share in shares)
        return range(count)[low : high + 1]

    def entered(self, needs: Needs) -> set[int]:
        """The layers whose input says what is asked for; hidden state i enters layer i."""
        last = {self.depth - 1} if needs.encoder & {"last_attention", "last_keys"} else set()
        return {self.feature_state - 1, *self.receivers(needs), *last}

    def deepest(self, needs: Needs) -> int:
        """The last hidden state that anybody looks at."""
        return max([self.feature_state, *self.span(needs), *self.entered(needs)])

    def maps(self, pixels: Tensor, needs: Needs) -> dict[str, Tensor]:
        """For pixels (B, 3, h, w), one vector a token (B, n, ·): features, and what is asked for.

        Attention has one channel; hidden states, and what several layers say, lie one after
        another in the channels.
        """
        states = self.hidden_states(pixels, needs)  # (B, n, Dv) each
        width = self.tower.config.hidden_size
        maps = {
            "features": states[self.feature_state],
            **self.attended(states, needs, "", self.feature_state - 1),
            **self.attended(states, needs, "last_", self.depth - 1, head_dim=width),
        }
        if needs.encoder_received:
            layers = self.receivers(needs)
            maps["received"] = torch.cat([self.received(states, index) for index in layers], dim=-1)
        if self.deep_states:
            maps["deepstack"] = torch.cat([states[index] for index in self.deep_states], dim=-1)
        if needs.encoder_span:
            maps["hidden"] = torch.cat([states[index] for index in self.span(needs)], dim=-1)
        return maps

    def attended(
        self,
        states: dict[int, Tensor],
        needs: Needs,
        kind: str,
        index: int,
        head_dim: int | None = None,
    ) -> dict[str, Tensor]:
        """Of keys and attention of a layer, from [CLS] where there is one, those asked for."""
        attention, keys = f"{kind}attention", f"{kind}keys"
        asked = needs.encoder & {attention, keys}
        if not asked:
            return {}
        entered = states[index]
        maps = {keys: self.keys(index, entered)}  # (B, n, Dv)
        if attention in asked:
            asking = entered[:, : self.prefix or None]  # [CLS], else every token
            maps[attention] = self.given(index, asking, maps[keys], head_dim)
        return {name: maps[name] for name in asked}

    def keys(self, index: int, entered: Tensor) -> Tensor:
        """Raw keys (B, n, Dv) of a layer entered by (B, n, Dv)."""
        return encoder_keys(self.tower.encoder.layers[index], entered)

    def given(
        self, index: int, asking: Tensor, keys: Tensor, head_dim: int | None = None
    ) -> Tensor:
        """What the rows `asking` (B, Q, Dv) give each of a layer's `keys` (B, n, Dv): (B, n, 1).

        The (H, n, n) of all views at once would be too much.
        """
        layer, views = self.tower.encoder.layers[index], zip(asking, keys, strict=True)
        each = [received_attention(layer, *view, head_dim) for view in views]
        return torch.stack(each)[..., None]

    def received(self, states: dict[int, Tensor], index: int) -> Tensor:
        """What every token of a view, [CLS] too, gives each in a layer: (B, n, 1)."""
        return self.given(index, states[index], self.keys(index, states[index]))

    def hidden_states(self, pixels: Tensor, needs: Needs) -> dict[int, Tensor]:
        """Those that are looked at. Layers deeper than the last of them do not run."""
        wanted = {
            self.feature_state,
            *self.deep_states,
            *self.span(needs),
            *self.entered(needs),
        }
        hidden = self.embed(pixels)
        states = {0: hidden}
        for index in range(self.deepest(needs)):
            hidden = self.layer(index, hidden)
            if index + 1 in wanted:
                states[index + 1] = hidden
        return states

    def layer(self, index: int, hidden: Tensor) -> Tensor:
        """Tokens (B, n, Dv) through layer `index`."""
        return self.tower.encoder.layers[index](hidden, None)

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
