"""What a model family gives the engine: an adapter, and the records that pass through it.

Letters as in pruning/tokens.py: N original visual tokens, K survivors, S sequence rows, D width,
L LLM layers. There is no batch axis outside the modules of transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from models.engine.decoder import Decoder
from models.uploads.media import Media
from pruning.axes import Extents
from pruning.base import Needs, PositionStrategy
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens


@dataclass(frozen=True, eq=False)
class Prompt:
    """A question about an upload, ready for the model, with nothing compressed yet."""

    before: Tensor  # (A,) int64 ids of the text before the picture
    after: Tensor  # (B,) int64 ids of the text after it
    # (views, 3, h, w) float32: frames of a clip, or a picture and its crops; of Qwen (patches, ·)
    pixels: Tensor
    layout: TokenLayout  # N tokens of the picture
    region: tuple[float, float, float, float]  # what the model sees, in fractions of the picture
    kind: str = "image"  # or "video"
    size: tuple[int, int] = (0, 0)  # height and width, where the model asks for them
    # (T,) time ids from the first frame's, where there are three axes
    times: tuple[int, ...] = (0,)
    # (R,) int64 placed tokens before each image_newline, ascending
    separators: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    @property
    def num_text(self) -> int:
        """Rows that no method touches: the text, and the separators with it."""
        return len(self.before) + len(self.after) + len(self.separators)


@dataclass(frozen=True, eq=False)
class Sequence:
    """What the LLM reads: text, the survivors with the separators among them, text."""

    embeds: Tensor  # (S, D)
    positions: Tensor  # (S,) int64, or (3, S): time, row, column
    visual: Tensor  # (K,) int64 the survivors' rows, ascending
    num_after: int  # rows of the text after the picture, the last of all
    anchors: Tensor  # (K,) int64 original token behind each visual row, −1 = none
    layout: TokenLayout  # that the anchors point into
    extents: Extents | None = None  # that the picture was numbered in; None on one axis
    guidance: Tensor | None = None  # (N,) float32, what a guide's attention says of its tokens
    deepstack: tuple[Tensor, ...] = ()  # (K, D) each, added to the visual rows behind layer 0, 1, …

    def after(self, layer: int, hidden: Tensor) -> Sequence:
        """The rows behind a layer, which gave `hidden` (S, D)."""
        if layer < len(self.deepstack):
            hidden = hidden.index_add(0, self.visual, self.deepstack[layer])
        return replace(self, embeds=hidden)


@dataclass(frozen=True, eq=False)
class DecodeState:
    """What prefill leaves for decode. Each layer has its own cache length and its own numbering."""

    logits: Tensor  # (vocabulary,) float32, of the first token
    cache: DynamicCache
    positions: Tensor  # (L,) int64 id of the next token, by layer, the same on every axis
    rows_per_layer: tuple[int, ...]  # S of each layer

    @property
    def kv_bytes(self) -> int:
        """What the cache holds now, over all layers."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)


@dataclass(frozen=True, eq=False)
class Guide:
    """A smaller model whose attention tells SGL what matters."""

    title: str  # what a person reads
    load: Callable[[], Adapter]


class Adapter(Protocol):
    """A model family. Stateless: any number of lanes may share one."""

    media: frozenset[str]  # of {"image", "video"}
    model: PreTrainedModel

    @property
    def device(self) -> torch.device: ...

    @property
    def decoder(self) -> Decoder: ...

    @property
    def guide(self) -> Guide | None:
        """The model that tells SGL what matters; None = it asks itself."""

    @property
    def conditions(self) -> dict[str, str]:
        """What its timings depend on, in words: device, dtype, attention kernel."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Token ids that end an answer."""

    def prepare(self, media: Media, question: str) -> Prompt:
        """Chat template, ids, pixels, and where each token lies on the picture."""

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        """Encoder tokens with exactly the signals asked for.

        A family whose tokens meet the LLM's one to one only behind the projector, as where frames
        are pooled there, gives tokens in LLM space: methods of either seam act on those.
        """

    def project(self, features: Tensor) -> Tensor:
        """Tokens of `encode` (K, ·) into LLM space (K, D)."""

    def splice(
        self,
        prompt: Prompt,
        visual: VisualTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        """The survivors' `tokens` (K, D) in the place of the picture, numbered by `strategy`."""

    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """What stock transformers makes of the same prompt: the measure of our own loops."""

    def to_text(self, ids: list[int]) -> str:
        """Generated ids as text, without special tokens."""

    def boxes(self, prompt: Prompt, answer: str) -> np.ndarray:
        """Boxes (M, 4) in an answer, as fractions of the last frame."""

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Encoder, projector over `projected` tokens, and prefill; see models/engine/flops.py."""
