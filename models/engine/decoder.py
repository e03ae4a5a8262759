"""The LLM of a VLM as a stack of stock transformers layers, run one layer at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

from models.engine.flops import LayerShape, matmul_flops

Rope = tuple[Tensor, Tensor]  # cos and sin, (1, S, d) each


class Narrowing(Protocol):
    """From `layer` on, a decode step reads the cache that `narrow` returns."""

    layer: int  # not the first

    def narrow(self, cache: DynamicCache, entered: Tensor, rope: Rope) -> Any:
        """A cache, given the whole one, and the layer before's input (1, D) and rotary tables."""


@dataclass(frozen=True, eq=False, repr=False)
class Decoder:
    """A Llama-like text model and its head. Inputs and outputs have no batch axis.

    The layers receive rotary tables, never `position_ids`: stock kernels would take the gaps in
    them for packed sequences.
    """

    model: nn.Module  # embed_tokens, layers, norm, rotary_emb
    head: nn.Module
    normalises: bool = False  # normalises queries and keys per head before rotation (Qwen3)
    axes: int = 1  # of the ids that the rotary embedding takes: 3 for M-RoPE (Qwen)

    @property
    def num_layers(self) -> int:
        return len(self.model.layers)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row's keys and values in the cache of one layer."""
        heads, size = self.model.config.num_key_value_heads, self.model.layers[0].self_attn.head_dim
        return 2 * heads * size * self.model.embed_tokens.weight.element_size()

    def new_cache(self) -> DynamicCache:
        return DynamicCache(config=self.model.config)

    def embed(self, ids: Tensor) -> Tensor:
        """(S,) -> (S, D)."""
        return self.model.embed_tokens(ids)

    def rope(self, positions: Tensor) -> Rope:
        """Rotary tables for position ids (S,), or (3, S) on three axes."""
        if self.axes > 1 and positions.dim() == 1:  # transformers 5.17 requires every axis
            positions = positions.expand(self.axes, -1)
        return self.model.rotary_emb(self.model.embed_tokens.weight, positions.unsqueeze(-2))

    def causal_mask(self, hidden: Tensor) -> Tensor | None:
        """The mask of a whole prompt (S, D); None if the kernel is causal by itself."""
        return create_causal_mask(self.model.config, hidden[None], None, None)

    def layer(
        self, index: int, hidden: Tensor, rope: Rope, mask: Tensor | None, cache: DynamicCache
    ) -> Tensor:
        """Runs layer `index` on rows (S, D) and appends their keys and values to the cache."""
        return self.model.layers[index](
            hidden[None],
            attention_mask=mask,
            position_embeddings=rope,
            past_key_values=cache,
            use_cache=True,
        )[0]

    def logits(self, row: Tensor) -> Tensor:
        """Logits (vocabulary,) float32 of the last row (1, D)."""
        return self.head(self.model.norm(row[None]))[0, 0].float()

    def step(
        self,
        token: int | Tensor,
        positions: Tensor,
        cache: Any,
        narrowing: Narrowing | None = None,
    ) -> Tensor:
        """Logits after one more token. `positions` (L,): layers may number it differently."""
        tables = (table.split(1, dim=1) for table in self.rope(positions))
        ropes = list(zip(*tables, strict=True))  # one a layer
        ids = torch.as_tensor(token, device=positions.device).view(1)
        hidden = entered = self.embed(ids)  # (1, D)
        for index in range(self.num_layers):
            if narrowing is not None and index == narrowing.layer:
                cache = narrowing.narrow(cache, entered, ropes[index - 1])
            entered = hidden
            hidden = self.layer(index, hidden, ropes[index], None, cache)  # it sees all it reads
        return self.logits(hidden)

    def flops(self, rows_per_layer: tuple[int, ...]) -> int:
        """FLOPs of a prefill, the first token's logits included."""
        config, head_dim = self.model.config, self.model.layers[0].self_attn.head_dim
        layer = LayerShape(
            width=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=head_dim,
            ffn=config.intermediate_size,
            ffn_matrices=3,
        )
        layers = sum(layer.flops(rows) for rows in rows_per_layer)
        return layers + matmul_flops(1, config.hidden_size, config.vocab_size)
