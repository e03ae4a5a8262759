"""Base of all adapters: runs the modules of transformers on a chat turn about one upload."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.image_processing_backends import PilBackend

from models.checkpoints import int4
from models.devices import device_name
from models.engine.base import Guide, Prompt
from models.engine.decoder import Decoder
from models.engine.encoder import VisionEncoder
from models.families.chat import tokenize_turn
from models.grounding import FORMATS, Format
from pruning.base import Needs
from pruning.tokens import TokenLayout, VisualTokens


@dataclass(frozen=True, eq=False, repr=False)
class StockAdapter:
    """Runs the stock modules of a model one by one. A family adds its pixels, layout and ids."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    processor: PilBackend
    _: KW_ONLY
    grounding: Format = FORMATS["padded"]
    guide: Guide | None = None

    encoded: ClassVar[type[VisualTokens]] = VisualTokens

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def conditions(self) -> dict[str, str]:
        kind = self.device.type
        return {
            "device": device_name(str(self.device)) if kind == "cuda" else kind.upper(),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            **int4.describe(self.model.config),
            "attention": self.model.config.text_config._attn_implementation,
        }

    def limited(self, max_pixels: int) -> Self:
        """Itself: most families resize every picture to sizes of their own."""
        return self

    def encoder_of(self, prompt: Prompt) -> VisionEncoder:
        """The encoder for the prompt's upload."""
        raise NotImplementedError

    @property
    def decoder(self) -> Decoder:
        return Decoder(self.model.model.language_model, self.model.lm_head)

    def marker(self, kind: str) -> int:
        """The placeholder id of an upload of this kind."""
        return getattr(self.model.config, f"{kind}_token_id")

    def turn(self, question: str, kind: str) -> dict[str, Tensor]:
        """Fields `before` and `after` of a `Prompt`: the chat turn around its placeholder."""
        before, after = tokenize_turn(self.tokenizer, question, kind, self.marker(kind))
        return {"before": before.to(self.device), "after": after.to(self.device)}

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        encoder = self.encoder_of(prompt)
        maps = encoder.maps(prompt.pixels, needs)
        signals = self.tokens(prompt, needs, maps)  # (N, ·) each
        for name in signals.keys() & {"attention", "last_attention", "shallow_attention"}:
            signals[name] = signals[name].squeeze(1)
        if "received" in signals:
            signals["received"] = signals["received"].T
        if "hidden" in signals:
            by_state = signals["hidden"].unflatten(1, (len(encoder.span(needs)), -1))
            signals["hidden"] = by_state.transpose(0, 1)
        if "frames" in needs.encoder:
            frames = len(np.unique(prompt.layout.frame))
            of_frames = maps["features"][:frames, encoder.prefix :]
            signals["frames"] = of_frames.mean(dim=1)
        if "text" in needs.encoder:
            signals["text"] = self.decoder.embed(prompt.after)
        return self.encoded(
            layout=self.layout(prompt, needs),
            key_heads=self.model.config.vision_config.num_attention_heads,
            **signals,
        )

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Arranges maps of views (B, n, ·) as tokens (N, ·)."""
        raise NotImplementedError

    def layout(self, prompt: Prompt, needs: Needs) -> TokenLayout:
        """The layout of the tokens that `encode` returns."""
        return prompt.layout

    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """Output of stock transformers for the same prompt, as a reference in tests.

        Greedy decoding; ignores the sampling settings of generation_config.json, as our loop does.
        """
        *texts, after = prompt.texts
        count = (len(prompt.layout) + len(prompt.separators)) // len(texts)
        marked = prompt.before.new_full((count,), self.marker(prompt.kind))
        ids = torch.cat([*(piece for text in texts for piece in (text, marked)), after])
        return self.model.generate(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids)[None],
            **self.stock_pixels(prompt),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            **options,
        )

    def stock_pixels(self, prompt: Prompt) -> dict[str, Tensor]:
        """The upload as arguments of `generate` in transformers."""
        raise NotImplementedError

    @property
    def end_ids(self) -> frozenset[int]:
        ends = self.model.generation_config.eos_token_id
        ends = self.tokenizer.eos_token_id if ends is None else ends
        return frozenset(ends if isinstance(ends, list) else [ends])

    def to_text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def boxes(self, prompt: Prompt, answer: str) -> np.ndarray:
        return self.grounding.boxes(answer, prompt.region, prompt.size)
