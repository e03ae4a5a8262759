"""One stock LLM layer whose attention can be read, differentiated and blocked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from models.engine.capture import CHUNK, apply_rotary, heads_of, split_heads
from models.engine.decoder import Decoder, Rope
from pruning.ops.attention import attend


@dataclass(frozen=True, eq=False)
class Heads:
    """What a layer's attention is computed from; G heads of keys and values divide H."""

    queries: Tensor  # (H, Q, d) rotated, of the last Q rows
    keys: Tensor  # (G, S, d) rotated
    values: Tensor  # (G, S, d)


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

    def heads(self, hidden: Tensor, before: tuple[Tensor, Tensor] | None = None) -> Heads:
        """Of the last rows, whose input is `hidden` (Q, D).

        `before` are the keys and values (G, S − Q, d) of the rows before them.
        """
        layer = self.decoder.model.layers[self.index]
        normed = layer.input_layernorm(hidden)
        cos, sin = (table[0, len(self.closed) - len(hidden) :] for table in self.rope)
        queries, keys = (
            apply_rotary(heads_of(self.decoder, self.index, kind, normed), cos, sin)
            for kind in "qk"
        )
        values = split_heads(layer.self_attn.v_proj(normed), layer.self_attn.head_dim)
        if before is not None:
            keys, values = torch.cat([before[0], keys], 1), torch.cat([before[1], values], 1)
        return Heads(queries, keys, values)

    def __call__(
        self, hidden: Tensor, rows: Tensor | None = None, probe: Tensor | None = None
    ) -> Tensor:
        """Output (S, D) for input (S, D). `probe` (H, R, S) is added to the attention of `rows`."""
        return self.output(hidden, self.heads(hidden), rows, probe)

    def output(
        self,
        hidden: Tensor,
        heads: Heads,
        rows: Tensor | None = None,
        probe: Tensor | None = None,
    ) -> Tensor:
        """Output (Q, D) of the last rows, from their input (Q, D) and `heads`."""
        layer = self.decoder.model.layers[self.index]
        groups = len(heads.queries) // len(heads.keys)
        keys = heads.keys.repeat_interleave(groups, 0)
        values = heads.values.repeat_interleave(groups, 0)
        mixed = scaled_dot_product_attention(
            heads.queries[None],
            keys[None],
            values[None],
            attn_mask=~self.closed[-len(hidden) :],
            scale=layer.self_attn.scaling,
        )[0]  # (H, Q, d)
        if rows is not None and probe is not None:
            weights = self.attention(heads, rows) + probe
            mixed = mixed.index_copy(1, rows, weights.to(values.dtype) @ values)
        hidden = hidden + layer.self_attn.o_proj(mixed.transpose(0, 1).flatten(1))
        output: Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return output

    def probe(self, hidden: Tensor, rows: Tensor) -> Tensor:
        """Zeros (H, R, S) to differentiate by."""
        heads = self.decoder.model.config.num_attention_heads
        shape = heads, len(rows), len(hidden)
        return torch.zeros(shape, device=hidden.device, requires_grad=True)

    def attention(self, heads: Heads, rows: Tensor) -> Tensor:
        """Attention (H, R, S) float32 of `rows` (R,), whose sum over S is 1; from all S queries."""
        scale = self.decoder.model.layers[self.index].self_attn.scaling
        return attend(heads.queries[:, rows], heads.keys, scale, closed=self.closed[rows])

    def mean_attention(self, heads: Heads, rows: Tensor) -> Tensor:
        """(R, R) float32 of `rows` to each other, head mean; keys outside `rows` count too."""
        parts = [self.attention(heads, some)[:, :, rows].mean(0) for some in rows.split(CHUNK)]
        return torch.cat(parts)
