"""The interface of a model family: the `Adapter` protocol, and the records it exchanges.

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
    """The model's inputs for one question about one upload, before compression."""

    before: Tensor  # (A,) int64 ids of the text before the picture
    after: Tensor  # (B,) int64 ids of the text after it
    # (views, 3, h, w) float32: frames of a clip, or a picture and its crops; of Qwen (patches, ·)
    pixels: Tensor
    layout: TokenLayout  # N tokens of the picture
    region: tuple[float, float, float, float]  # the model's input, as fractions of the picture
    kind: str = "image"  # or "video"
    size: tuple[int, int] = (0, 0)  # height and width, for models that need them
    # (T,) time ids, counted from the first frame's, for models with three position axes
    times: tuple[int, ...] = (0,)
    # T − 1 times (B,) int64 ids of the text between a frame's tokens and the next one's
    between: tuple[Tensor, ...] = ()
    # (R,) int64 placed tokens before each image_newline, ascending; left out: there is none
    separators: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Puts the empty default of `separators` on the device of the ids."""
        if self.separators is None:
            none = torch.empty(0, dtype=torch.int64, device=self.before.device)
            object.__setattr__(self, "separators", none)

    @property
    def texts(self) -> tuple[Tensor, ...]:
        """The pieces of text; visual tokens come between each and the next."""
        return (self.before, *self.between, self.after)

    @property
    def num_text(self) -> int:
        """Rows that no method touches: the text, and the separators with it."""
        return sum(map(len, self.texts)) + len(self.separators)


@dataclass(frozen=True, eq=False)
class Sequence:
    """The LLM's input: text, the survivors with the separators among them, text."""

    embeds: Tensor  # (S, D)
    positions: Tensor  # (S,) int64, or (3, S): time, row, column
    visual: Tensor  # (K,) int64 the survivors' rows, ascending
    num_after: int  # rows of the text after the picture; they are the last rows
    anchors: Tensor  # (K,) int64 original token of each visual row, −1 = none
    layout: TokenLayout  # of the original tokens
    extents: Extents | None = None  # of the picture's position ids; None on one axis
    guidance: Tensor | None = None  # (N,) float32 importance of each token, from a guide
    deepstack: tuple[Tensor, ...] = ()  # (K, D) each, added to the visual rows after layer 0, 1, …

    def after(self, layer: int, hidden: Tensor) -> Sequence:
        """The sequence after a layer whose output is `hidden` (S, D)."""
        if layer < len(self.deepstack):
            hidden = hidden.index_add(0, self.visual, self.deepstack[layer])
        return replace(self, embeds=hidden)


@dataclass(frozen=True, eq=False)
class DecodeState:
    """Output of prefill. Each layer has its own cache length and its own position ids."""

    logits: Tensor  # (vocabulary,) float32, of the first token
    cache: DynamicCache
    positions: Tensor  # (L,) int64 id of the next token, by layer, the same on every axis
    rows_per_layer: tuple[int, ...]  # S of each layer
    last: Sequence  # the rows of the last layer

    @property
    def kv_bytes(self) -> int:
        """Size of the cache now, over all layers."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.cache.layers)


@dataclass(frozen=True, eq=False)
class Guide:
    """A smaller model whose attention ranks the visual tokens for SGL."""

    title: str
    load: Callable[[], Adapter]


class Adapter(Protocol):
    """A model family. Stateless: lanes share one adapter."""

    media: frozenset[str]  # of {"image", "video"}
    model: PreTrainedModel

    @property
    def device(self) -> torch.device: ...

    @property
    def decoder(self) -> Decoder: ...

    @property
    def guide(self) -> Guide | None:
        """The guide model of SGL; None = the model itself."""

    @property
    def conditions(self) -> dict[str, str]:
        """Names of the device, the dtype and the attention kernel: timings depend on them."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Token ids that end an answer."""

    def limited(self, max_pixels: int) -> Adapter:
        """The same model, which resizes larger pictures; 0 = the checkpoint's own limit."""

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        """Applies the chat template; computes ids, pixels and the token layout.

        With `grid` (T, rows, cols), resizes the frames so that they have these tokens: fewer rows
        or columns than without it, and the same T.
        """

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        """Encoder tokens with exactly the signals in `needs`.

        If the projector or a step after it changes the number of tokens (for example by pooling
        frames), returns tokens in LLM space: methods of either seam then act on those.
        """

    def project(self, features: Tensor) -> Tensor:
        """Maps tokens of `encode` (K, ·) into LLM space (K, D)."""

    def splice(
        self,
        prompt: Prompt,
        visual: VisualTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        """Puts the survivors' `tokens` (K, D) between the text; `strategy` gives position ids."""

    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """Output of stock transformers for the same prompt, as a reference in tests."""

    def to_text(self, ids: list[int]) -> str:
        """Generated ids as text, without special tokens."""

    def boxes(self, prompt: Prompt, answer: str) -> np.ndarray:
        """Parses boxes (M, 4) from an answer, as fractions of the last frame."""

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """FLOPs of the encoder, of the projector over `projected` tokens, and of prefill."""
