"""SmolVLM: tiles of a picture and its thumbnail, with text that names a tile before its tokens.

Groups of patches are folded into a token before the projector. So methods of either seam act after
it; signals of patches are averaged over a group.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from models.engine.base import Prompt
from models.engine.decoder import Decoder
from models.engine.encoder import VisionEncoder
from models.engine.flops import matmul_flops
from models.families.llava_base import LlavaBase
from models.families.tiles import lay_out
from models.grounding import FORMATS, WHOLE, Format
from models.uploads.media import Media
from pruning.base import Needs
from pruning.errors import UnsupportedError

AROUND, WHOLE_PICTURE = "<fake_token_around_image>", "<global-img>"


@dataclass(frozen=True, eq=False, repr=False)
class SmolEncoder(VisionEncoder):
    """The stock modules of `SmolVLMVisionTransformer`, on views without padding."""

    def embed(self, pixels: Tensor) -> Tensor:
        rows, cols = self.patches(pixels)
        everywhere = torch.ones(len(pixels), rows, cols, dtype=torch.bool, device=pixels.device)
        return self.tower.embeddings(pixels.to(self.tower.dtype), everywhere)


@dataclass(frozen=True, eq=False, repr=False)
class SmolVLMAdapter(LlavaBase):
    """Runs the stock modules of `SmolVLMForConditionalGeneration` one by one.

    Accepts no clips: the model expects a line of text before each frame.
    """

    media: ClassVar[frozenset[str]] = frozenset({"image"})
    _: KW_ONLY
    grounding: Format = FORMATS["plain"]

    @property
    def encoder(self) -> SmolEncoder:
        return SmolEncoder(self.model.model.vision_model, -1)

    @property
    def decoder(self) -> Decoder:
        return Decoder(self.model.model.text_model, self.model.lm_head)

    @property
    def group(self) -> int:
        """Patches per row and per column of a token."""
        return int(self.model.config.scale_factor)

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        if grid is not None:
            raise UnsupportedError(
                "SmolVLM resizes every picture to whole tiles, and down-sampled pixels came; "
                "choose another method."
            )
        made = self.processor(
            Image.fromarray(media.frames[0]), return_row_col_info=True, return_tensors="pt"
        )
        ((rows,),), ((cols,),) = made["rows"], made["cols"]  # 0: the whole picture only
        first, *others = (self.ids(mark) for mark in marks(rows, cols))
        turn = self.turn(question, media.kind)
        return Prompt(
            before=torch.cat([turn["before"], first]),
            between=tuple(others),
            after=torch.cat([self.ids(AROUND), turn["after"]]),
            pixels=made.pixel_values[0].to(self.device),
            layout=lay_out(max(rows, 1), max(cols, 1), self.encoder.side // self.group),
            region=WHOLE,
            size=media.frames.shape[1:3],
        )

    def ids(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        return torch.tensor(ids, device=self.device)

    def separators(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """The text between one view's tokens and the next one's."""
        each, device = (self.encoder.side // self.group) ** 2, prompt.before.device
        lengths = torch.tensor([len(text) for text in prompt.between], device=device).long()
        stops = each * torch.arange(1, 1 + len(lengths), device=device)
        text = torch.cat([prompt.before[:0], *prompt.between])
        return stops.repeat_interleave(lengths), self.decoder.embed(text)

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        model, side, group = self.model.model, self.encoder.side, self.group
        features = model.vision_model.post_layernorm(maps["features"])
        tokens = {"features": model.connector(features).flatten(0, 1)}
        for name in maps.keys() - {"features"}:
            square = maps[name].unflatten(1, (side, side))  # (views, side, side, ·)
            groups = square.unflatten(2, (-1, group)).unflatten(1, (-1, group))
            tokens[name] = groups.mean(dim=(2, 4)).flatten(0, 2)
        return tokens

    def project(self, features: Tensor) -> Tensor:
        """Identity: `encode` returns tokens in LLM space."""
        return features

    def stock_pixels(self, prompt: Prompt) -> dict[str, Any]:
        return {"pixel_values": prompt.pixels[None]}

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Counts the projector over all tokens: it runs before compression."""
        config = self.model.config
        inner, outer = config.vision_config.hidden_size, config.text_config.hidden_size
        projector = matmul_flops(len(prompt.layout), inner * self.group**2, outer)
        encoder = self.encoder.flops(needs, prompt.pixels)
        return encoder + projector + self.decoder.flops(rows_per_layer)


def marks(rows: int, cols: int) -> list[str]:
    """The text before each view, as SmolVLM's processor writes it; 0 rows: the picture only."""
    texts = [
        ("\n" if row and not col else "") + f"{AROUND}<row_{row + 1}_col_{col + 1}>"
        for row in range(rows)
        for col in range(cols)
    ]
    whole = f"{AROUND}{WHOLE_PICTURE}"
    return [*texts, f"\n\n{whole}"] if texts else [whole]
