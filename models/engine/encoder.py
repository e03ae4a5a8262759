"""Runs a vision encoder layer by layer and computes the signals that a method needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.engine.capture import encoder_keys, mean_attention, received_attention, split_heads
from models.engine.flops import LayerShape, matmul_flops
from pruning.base import Needs


@dataclass(frozen=True, eq=False, repr=False)
class VisionEncoder:
    """The stock modules of a vision tower, over B views of n tokens each.

    Hidden state 0 is the embeddings, hidden state i + 1 the output of layer i.
    """

    tower: Any
    feature_layer: int  # hidden state for the projector; negative counts from the end

    prefix: ClassVar[int] = 0  # tokens before the patches

    @property
    def deep_states(self) -> tuple[int, ...]:
        """Hidden states that the LLM receives besides the features, in ascending order."""
        return ()

    @property
    def depth(self) -> int:
        return len(self.tower.encoder.layers)

    @property
    def feature_state(self) -> int:
        return self.feature_layer % (self.depth + 1)

    @property
    def side(self) -> int:
        """Patches per row and per column."""
        return self.tower.config.image_size // self.tower.config.patch_size

    def span(self, needs: Needs) -> range:
        """The hidden states of `needs.encoder_span`."""
        return self.between(needs.encoder_span, self.depth + 1)

    def receivers(self, needs: Needs) -> range:
        """The layers of `needs.encoder_received`."""
        return self.between(needs.encoder_received, self.depth)

    def between(self, shares: tuple[float, float] | None, count: int) -> range:
        """The indices below `count` between two shares of depth, both included."""
        if shares is None:
            return range(0)
        low, high = (math.ceil(share * self.depth) for share in shares)
        return range(count)[low : high + 1]

    @property
    def shallow(self) -> int:
        """The last layer in the first quarter of the depth: 5 of 24, 7 of 32."""
        return math.ceil(self.depth / 4) - 1

    def signal_layers(self, needs: Needs) -> set[int]:
        """The layers whose keys or attention are needed; hidden state i is the input of layer i."""
        last = {self.depth - 1} if needs.encoder & {"last_attention", "last_keys"} else set()
        shallow = {self.shallow} if "shallow_attention" in needs.encoder else set()
        return {self.feature_state - 1, *self.receivers(needs), *last, *shallow}

    def deepest(self, needs: Needs) -> int:
        """The last hidden state that is needed."""
        return max([self.feature_state, *self.span(needs), *self.signal_layers(needs)])

    def maps(self, pixels: Tensor, needs: Needs) -> dict[str, Tensor]:
        """Features and signals (B, n, ·) by name, for pixels (B, 3, h, w).

        Attention has one channel. Hidden states and attention of several layers are concatenated
        along the channels.
        """
        states = self.hidden_states(pixels, needs)  # (B, n, Dv) each
        width = self.tower.config.hidden_size
        maps = {
            "features": states[self.feature_state],
            **self.layer_signals(states, needs, "", self.feature_state - 1),
            **self.layer_signals(states, needs, "shallow_", self.shallow),
            **self.layer_signals(states, needs, "last_", self.depth - 1, head_dim=width),
        }
        if needs.encoder_received:
            received = [  # (B, n, 1) each, from every token of a view, [CLS] included
                self.attention(index, states[index], self.keys(index, states[index]))
                for index in self.receivers(needs)
            ]
            maps["received"] = torch.cat(received, dim=-1)
        if self.deep_states:
            maps["deepstack"] = torch.cat([states[index] for index in self.deep_states], dim=-1)
        if needs.encoder_span:
            maps["hidden"] = torch.cat([states[index] for index in self.span(needs)], dim=-1)
        return maps

    def layer_signals(
        self,
        states: dict[int, Tensor],
        needs: Needs,
        kind: str,
        index: int,
        head_dim: int | None = None,
    ) -> dict[str, Tensor]:
        """Keys of a layer, and attention from [CLS] (or from all tokens), if in `needs`."""
        attention, keys = f"{kind}attention", f"{kind}keys"
        names = needs.encoder & {attention, keys}
        if not names:
            return {}
        hidden = states[index]
        maps = {keys: self.keys(index, hidden)}  # (B, n, Dv)
        if attention in names:
            rows = hidden[:, : self.prefix or None]  # [CLS], or every token if there is none
            maps[attention] = self.attention(index, rows, maps[keys], head_dim)
        return {name: maps[name] for name in names}

    def keys(self, index: int, hidden: Tensor) -> Tensor:
        """Raw keys (B, n, Dv) of a layer with input (B, n, Dv)."""
        return encoder_keys(self.tower.encoder.layers[index], hidden)

    def attention(
        self, index: int, rows: Tensor, keys: Tensor, head_dim: int | None = None
    ) -> Tensor:
        """Attention (B, n, 1) of a layer from `rows` (B, Q, Dv) to `keys` (B, n, Dv).

        Computes one view at a time: (H, n, n) of all views would take too much memory.
        """
        layer, views = self.tower.encoder.layers[index], zip(rows, keys, strict=True)
        received = [received_attention(layer, *view, head_dim) for view in views]
        return torch.stack(received)[..., None]

    def among(self, index: int, hidden: Tensor) -> Tensor:
        """Head mean (B, n, n) float32 of a layer's attention between the tokens of each view."""
        layer = self.tower.encoder.layers[index]
        queries, head_dim = (
            layer.self_attn.q_proj(layer.layer_norm1(hidden)),
            layer.self_attn.head_dim,
        )
        views = zip(queries, self.keys(index, hidden), strict=True)
        heads = ((split_heads(each, head_dim) for each in view) for view in views)
        return torch.stack([mean_attention(*pair, head_dim**-0.5) for pair in heads])

    def hidden_states(self, pixels: Tensor, needs: Needs) -> dict[int, Tensor]:
        """The hidden states that are needed. Deeper layers do not run."""
        wanted = {
            self.feature_state,
            *self.deep_states,
            *self.span(needs),
            *self.signal_layers(needs),
        }
        hidden = self.embed(pixels)
        states = {0: hidden}
        for index in range(self.deepest(needs)):
            hidden = self.layer(index, hidden)
            if index + 1 in wanted:
                states[index + 1] = hidden
        return states

    def layer(self, index: int, hidden: Tensor) -> Tensor:
        """Output (B, n, Dv) of layer `index`."""
        return self.tower.encoder.layers[index](hidden, None)

    def embed(self, pixels: Tensor) -> Tensor:
        """Hidden state 0, (B, n, Dv). Interpolates position embeddings for views of other sizes."""
        return self.tower.embeddings(pixels, interpolate_pos_encoding=True)

    def patches(self, pixels: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of views (B, 3, h, w)."""
        height, width = pixels.shape[-2:]
        return height // self.tower.config.patch_size, width // self.tower.config.patch_size

    def flops(self, needs: Needs, pixels: Tensor) -> int:
        """FLOPs of the patch embedding and the layers that run, over all views of `pixels`."""
        config, views, patches = self.tower.config, len(pixels), math.prod(self.patches(pixels))
        heads, width = config.num_attention_heads, config.hidden_size
        layer = LayerShape(width, heads, heads, width // heads, config.intermediate_size, 2)
        embedding = matmul_flops(patches, config.num_channels * config.patch_size**2, width)
        return views * (embedding + self.deepest(needs) * layer.flops(self.prefix + patches))
