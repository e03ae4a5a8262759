"""CLIP's encoder, layer by layer: the features, and exactly the signals that a method asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPVisionModel

from models.capture import cls_attention, encoder_keys
from models.flops import LayerShape, matmul_flops
from pruning.base import Needs


@dataclass(frozen=True, eq=False, repr=False)
class ClipEncoder:
    """The stock modules of `CLIPVisionModel`. Hidden state 0 is the embeddings, i + 1 layer i's."""

    tower: CLIPVisionModel
    feature_layer: int  # the hidden state that feeds the projector; negative counts from the end

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

    def run(self, pixels: Tensor, needs: Needs) -> dict[str, Tensor]:
        """Fields of VisualTokens for pixels (1, 3, h, w); [CLS] is row 0 where it is asked for."""
        states = self.hidden_states(pixels, needs)  # (1 + patches, Dv) each
        yielded, entered = states[self.feature_state], states[self.feature_state - 1]
        rows = slice(0 if "cls" in needs.encoder else 1, None)
        signals = {"features": yielded[rows]}
        if needs.encoder & {"attention", "keys"}:
            layer = self.tower.encoder.layers[self.feature_state - 1]
            keys = encoder_keys(layer, entered)  # (1 + patches, Dv)
            if "keys" in needs.encoder:
                signals["keys"] = keys[rows]
            if "attention" in needs.encoder:
                signals["attention"] = cls_attention(layer, entered, keys)[rows]
        if needs.encoder_span:
            signals["hidden"] = torch.stack([states[index][rows] for index in self.span(needs)])
        if "frames" in needs.encoder:
            signals["frames"] = yielded[1:].mean(dim=0, keepdim=True)
        return signals

    def hidden_states(self, pixels: Tensor, needs: Needs) -> dict[int, Tensor]:
        """Those that are looked at. Layers deeper than the last of them do not run."""
        wanted = {self.feature_state - 1, self.feature_state, *self.span(needs)}
        hidden = self.tower.pre_layrnorm(self.tower.embeddings(pixels))
        states = {0: hidden[0]}
        for index, layer in enumerate(self.tower.encoder.layers[: self.deepest(needs)], start=1):
            hidden = layer(hidden, None)
            if index in wanted:
                states[index] = hidden[0]
        return states

    def flops(self, needs: Needs) -> int:
        """Of the patch embedding and the layers that run."""
        config, patches = self.tower.config, self.side**2
        heads, width = config.num_attention_heads, config.hidden_size
        layer = LayerShape(width, heads, heads, width // heads, config.intermediate_size, 2)
        embedding = matmul_flops(patches, config.num_channels * config.patch_size**2, width)
        return embedding + self.deepest(needs) * layer.flops(1 + patches)
