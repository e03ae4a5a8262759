"""One stock LLM layer whose attention can be read, differentiated and blocked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from models.engine.capture import CHUNK, decoder_heads, split_heads
from models.engine.decoder import Decoder, Rope
from pruning.ops.attention import attend


@dataclass(frozen=True, eq=False)
class OpenLayer:
    """Layer `index` of a decoder over S rows, of which each sees those that are not closed to it.

    The attention of a few rows is computed with its weights; a fused kernel computes that of the
    others.
    """

    decoder: Decoder
    index: int
    rope: Rope
    closed: Tensor  # (S, S) bool, query by key

    def __call__(
        self, hidden: Tensor, rows: Tensor | None = None, probe: Tensor | None = None
    ) -> Tensor:
        """Output (S, D) for input (S, D). `probe` (H, R, S) is added to the attention of `rows`."""
        layer = self.decoder.model.layers[self.index]
        queries, keys, values = self.parts(hidden)
        groups = len(queries) // len(keys)
        keys, values = keys.repeat_interleave(groups, 0), values.repeat_interleave(groups, 0)
        mixed = scaled_dot_product_attention(
            queries[None],
            keys[None],
            values[None],
            attn_mask=~self.closed,
            scale=layer.self_attn.scaling,
        )[0]  # (H, S, d)
        if rows is not None and probe is not None:
            weights = self.attention(hidden, rows) + probe
            mixed = mixed.index_copy(1, rows, weights.to(values.dtype) @ values)
        hidden = hidden + layer.self_attn.o_proj(mixed.transpose(0, 1).flatten(1))
        output: Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return output

    def probe(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """Zeros (H, R, S) to differentiate by."""
        heads = self.decoder.model.config.num_attention_heads
        shape = heads, len(rows), len(hidden)
        return torch.zeros(shape, device=hidden.device, requires_grad=True)

    def attention(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """Attention (H, R, S) float32 of `rows` (R,), whose sum over S is 1."""
        everything = torch.arange(len(hidden), device=hidden.device)
        queries = decoder_heads(self.decoder, self.index, "q", hidden, self.rope, rows)
        keys = decoder_heads(self.decoder, self.index, "k", hidden, self.rope, everything)
        scale = self.decoder.model.layers[self.index].self_attn.scaling
        return attend(queries, keys, scale, closed=self.closed[rows])

    def mean_attention(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """(R, R) float32 of `rows` to each other, head mean; keys outside `rows` count too."""
        parts = [self.attention(hidden, some)[:, :, rows].mean(0) for some in rows.split(CHUNK)]
        return torch.cat(parts)

    def parts(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries (H, S, d) and keys (G, S, d), and values (G, S, d)."""
        rows = torch.arange(len(hidden), device=hidden.device)
        queries, keys = (
            decoder_heads(self.decoder, self.index, kind, hidden, self.rope, rows) for kind in "qk"
        )
        layer = self.decoder.model.layers[self.index]
        values = layer.self_attn.v_proj(layer.input_layernorm(hidden))
        return queries, keys, split_heads(values, layer.self_attn.head_dim)
