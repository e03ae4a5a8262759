"""InternVL: tiles of a picture and its thumbnail, each folded into a square of tokens.

Groups of patches are folded into a token before the projector, which normalises a group at once. So
methods of either seam act after it; signals of patches are averaged over a group.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from models.engine.base import Prompt
from models.engine.capture import mean_attention, split_heads
from models.engine.decoder import Decoder
from models.engine.encoder import VisionEncoder
from models.engine.flops import LayerShape, matmul_flops
from models.families.llava_base import LlavaBase
from models.families.tiles import lay_out
from models.grounding import FORMATS, WHOLE, Format
from models.uploads.media import Media
from pruning.base import Needs
from pruning.errors import UnsupportedError
from pruning.ops.attention import attend


@dataclass(frozen=True, eq=False, repr=False)
class InternEncoder(VisionEncoder):
    """The stock modules of `InternVLVisionModel`; [CLS] precedes the patches."""

    prefix: ClassVar[int] = 1

    @property
    def layers(self) -> Any:
        return self.tower.encoder.layer

    @property
    def depth(self) -> int:
        return len(self.layers)

    @property
    def side(self) -> int:
        return self.tower.config.image_size[0] // self.tower.config.patch_size[0]

    def layer(self, index: int, hidden: Tensor) -> Tensor:
        return self.layers[index](hidden)

    def embed(self, pixels: Tensor) -> Tensor:
        return self.tower.embeddings(pixels)

    def keys(self, index: int, hidden: Tensor) -> Tensor:
        layer = self.layers[index]
        return layer.attention.k_norm(layer.attention.k_proj(layer.layernorm_before(hidden)))

    def queries(self, index: int, hidden: Tensor) -> Tensor:
        """Queries (B, Q, Dv) of `hidden` (B, Q, Dv), heads concatenated."""
        layer = self.layers[index]
        return layer.attention.q_norm(layer.attention.q_proj(layer.layernorm_before(hidden)))

    def attention(
        self, index: int, rows: Tensor, keys: Tensor, head_dim: int | None = None
    ) -> Tensor:
        head_dim = head_dim or self.layers[index].attention.head_dim
        received = [
            attend(*(split_heads(each, head_dim) for each in view), head_dim**-0.5).mean(dim=(0, 1))
            for view in zip(self.queries(index, rows), keys, strict=True)
        ]
        return torch.stack(received)[..., None]

    def among(self, index: int, hidden: Tensor) -> Tensor:
        head_dim = self.layers[index].attention.head_dim
        views = zip(self.queries(index, hidden), self.keys(index, hidden), strict=True)
        heads = ((split_heads(each, head_dim) for each in view) for view in views)
        return torch.stack([mean_attention(*pair, head_dim**-0.5) for pair in heads])

    def patches(self, pixels: Tensor) -> tuple[int, int]:
        return self.side, self.side

    def flops(self, needs: Needs, pixels: Tensor) -> int:
        config, patches = self.tower.config, self.side**2
        heads, width = config.num_attention_heads, config.hidden_size
        layer = LayerShape(width, heads, heads, width // heads, config.intermediate_size, 2)
        embedding = matmul_flops(patches, config.num_channels * config.patch_size[0] ** 2, width)
        layers = self.deepest(needs) * layer.flops(self.prefix + patches)
        return len(pixels) * (embedding + layers)


@dataclass(frozen=True, eq=False, repr=False)
class InternVLAdapter(LlavaBase):
    """Runs the stock modules of `InternVLForConditionalGeneration` one by one.

    Accepts no clips: the model expects a name in text before each frame.
    """

    media: ClassVar[frozenset[str]] = frozenset({"image"})
    _: KW_ONLY
    grounding: Format = FORMATS["thousand"]

    def __post_init__(self) -> None:
        config = self.model.config
        found = config.vision_feature_layer, config.vision_feature_select_strategy
        if found != (-1, "default") or not config.vision_config.use_mean_pooling:
            raise ValueError(
                f"The config of this InternVL selects {found[1]!r} features of layer {found[0]}; "
                "accepted are 'default' features of layer -1, which no norm follows."
            )

    @property
    def encoder(self) -> InternEncoder:
        return InternEncoder(self.model.model.vision_tower, -1)

    @property
    def decoder(self) -> Decoder:
        """InternVL3 has a Qwen2, InternVL3.5 a Qwen3, which normalises queries and keys."""
        decoder = super().decoder
        attention = decoder.model.layers[0].self_attn
        return replace(decoder, normalises=hasattr(attention, "q_norm"))

    @property
    def group(self) -> int:
        """Patches per row and per column of a token."""
        return round(1 / self.model.config.downsample_ratio)

    def turn(self, question: str, kind: str) -> dict[str, Tensor]:
        """The chat turn, with the tokens that InternVL's processor puts around a picture."""
        turn, ids = super().turn(question, kind), self.tokenizer.convert_tokens_to_ids
        start, end = (turn["before"].new_tensor([ids(token)]) for token in ("<img>", "</img>"))
        return {
            "before": torch.cat([turn["before"], start]),
            "after": torch.cat([end, turn["after"]]),
        }

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        if grid is not None:
            raise UnsupportedError(
                "InternVL resizes every picture to whole tiles, and down-sampled pixels came; "
                "choose another method."
            )
        like, turn, size = self.processor, self.turn(question, media.kind), media.frames.shape[1:3]
        pixels = like(
            Image.fromarray(media.frames[0]), crop_to_patches=True, return_tensors="pt"
        ).pixel_values
        tile = like.size["height"], like.size["width"]
        cols, rows = get_optimal_tiled_canvas(size, tile, like.min_patches, like.max_patches)
        layout = lay_out(rows, cols, self.encoder.side // self.group)
        return Prompt(**turn, pixels=pixels.to(self.device), layout=layout, region=WHOLE, size=size)

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        model, ratio = self.model.model, self.model.config.downsample_ratio
        side, group = self.encoder.side, self.group
        squares = {  # (views, side, side, ·)
            name: values[:, self.encoder.prefix :].unflatten(1, (side, side))
            for name, values in maps.items()
        }
        folded = model.pixel_shuffle(squares.pop("features"), scale_factor=ratio)
        tokens = {"features": model.multi_modal_projector(folded).flatten(0, 2)}
        for name, values in squares.items():
            groups = values.unflatten(2, (-1, group)).unflatten(1, (-1, group))
            tokens[name] = groups.mean(dim=(2, 4)).flatten(0, 2)
        return tokens

    def project(self, features: Tensor) -> Tensor:
        """Identity: `encode` returns tokens in LLM space."""
        return features

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Counts the projector over all tokens: it runs before compression."""
        config, tokens = self.model.config, len(prompt.layout)
        inner, outer = config.vision_config.hidden_size, config.text_config.hidden_size
        projector = matmul_flops(tokens, inner * self.group**2, outer)
        projector += matmul_flops(tokens, outer, outer)
        return (
            self.encoder.flops(needs, prompt.pixels)
            + projector
            + self.decoder.flops(rows_per_layer)
        )
