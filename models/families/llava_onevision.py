"""LLaVA-OneVision: a SigLIP encoder, a projector, an LLM; crops of pictures, frames of clips.

The model pools frames, and unpads and scales down crops, after the projector, which is not linear.
So methods of either seam act after these steps, as in the papers on video. Keys, hidden states and
attention go through the same steps as the features.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from models.engine.base import Prompt
from models.families.anyres import lay_out
from models.families.encoders import SiglipEncoder
from models.families.llava_base import LlavaBase
from models.grounding import FORMATS, WHOLE, Format
from models.uploads.media import Media
from pruning.base import Needs
from pruning.errors import ExplainedError
from pruning.tokens import TokenLayout


@dataclass(frozen=True, eq=False, repr=False)
class LlavaOnevisionAdapter(LlavaBase):
    """Runs the stock modules of `LlavaOnevisionForConditionalGeneration` one by one.

    The encoder has no [CLS], and the checkpoint no pooling head: the vector of a frame is the mean
    of its encoder features.
    """

    media: frozenset[str] = frozenset({"image", "video"})  # that the checkpoint was trained on
    _: KW_ONLY
    grounding: Format = FORMATS["plain"]

    def __post_init__(self) -> None:
        layer = self.model.config.vision_feature_layer
        strategy = self.model.config.vision_feature_select_strategy
        if strategy != "full" or not isinstance(layer, int):
            raise ExplainedError(
                f"The config of this LLaVA-OneVision selects {strategy!r} features of layer "
                f"{layer}; accepted are 'full' features of one layer."
            )

    @property
    def encoder(self) -> SiglipEncoder:
        return SiglipEncoder(self.model.model.vision_tower, self.model.config.vision_feature_layer)

    @property
    def separator(self) -> Tensor:
        return self.model.model.image_newline[None]

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        turn, kind, size = self.turn(question, media.kind), media.kind, media.frames.shape[1:3]
        is_clip = kind == "video"
        pixels, layout, separators = self.clip(media, grid) if is_clip else self.picture(media)
        return Prompt(
            **turn,
            pixels=pixels.to(self.device),
            layout=layout,
            region=WHOLE,
            kind=kind,
            size=size,
            separators=separators.to(self.device),
        )

    def picture(self, media: Media) -> tuple[Tensor, TokenLayout, Tensor]:
        """Pixels of the base view and the crops, their layout, and tokens before each newline."""
        pinpoints = self.model.config.image_grid_pinpoints
        pixels = self.processor(
            Image.fromarray(media.frames[0]), image_grid_pinpoints=pinpoints, return_tensors="pt"
        ).pixel_values[0]
        return pixels, *lay_out(self.model.config, media.frames.shape[1:3])

    def clip(
        self, media: Media, grid: tuple[int, int, int] | None
    ) -> tuple[Tensor, TokenLayout, Tensor]:
        """Pixels of the frames, their layout, and the number of tokens before each newline."""
        pixels = self.frames(media, grid)
        rows, cols = self.pooled(*self.encoder.patches(pixels))
        right, bottom = WHOLE[2:] if grid else (self.covered, self.covered)
        layout = TokenLayout.regular(len(pixels), rows, cols, (0.0, 0.0, right, bottom))
        return pixels, layout, self.newlines(layout)

    def newlines(self, layout: TokenLayout) -> Tensor:
        """One, after the last frame."""
        return torch.tensor([len(layout)])

    @property
    def covered(self) -> float:
        """Share of a frame's side that its tokens cover, if the frame is not made smaller."""
        return self.encoder.covered

    @property
    def stride(self) -> int:
        """Patches that become one token, along each side."""
        return 2

    def frames(self, media: Media, grid: tuple[int, int, int] | None) -> Tensor:
        """Pixels (T, 3, h, w) of the frames, each resized to a square, or to a smaller grid."""
        like, size = self.processor, self.processor.size
        if grid:
            cell = self.stride * self.model.config.vision_config.patch_size
            size = {"height": grid[1] * cell, "width": grid[2] * cell}
        squeeze = SiglipImageProcessorPil(
            size=size,
            resample=like.resample,
            image_mean=like.image_mean,
            image_std=like.image_std,
        )
        frames = [Image.fromarray(frame) for frame in media.frames]
        return squeeze(frames, return_tensors="pt").pixel_values

    def pool(self, maps: Tensor, patches: tuple[int, int]) -> Tensor:
        """Pools the patches of frames (T, n, C), n = rows · columns, to (T, m, C)."""
        raster = maps.transpose(1, 2).contiguous().unflatten(2, patches)  # (T, C, rows, cols)
        return self.reduce(raster).flatten(2).transpose(1, 2)

    def pooled(self, rows: int, cols: int) -> tuple[int, int]:
        """Rows and columns of tokens in a frame of `rows` × `cols` patches."""
        return -(-rows // self.stride), -(-cols // self.stride)

    def reduce(self, raster: Tensor) -> Tensor:
        """Pools (T, C, rows, cols), as stock transformers does in square frames."""
        return functional.interpolate(raster, self.pooled(*raster.shape[2:]), mode="bilinear")

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        model, config = self.model.model, self.model.config
        maps = {**maps, "features": model.multi_modal_projector(maps["features"])}
        if prompt.kind == "video":
            patches = self.encoder.patches(prompt.pixels)
            return {name: self.pool(values, patches).flatten(0, 1) for name, values in maps.items()}
        ratio = {"vision_aspect_ratio": config.vision_aspect_ratio}
        return {
            name: model.pack_image_features([values], [prompt.size], **ratio)[0][0]
            for name, values in maps.items()
        }

    def project(self, features: Tensor) -> Tensor:
        """Identity: `encode` returns tokens in LLM space."""
        return features

    def stock_pixels(self, prompt: Prompt) -> dict[str, Tensor]:
        if prompt.kind == "video":
            return {"pixel_values_videos": prompt.pixels[None]}
        return {"pixel_values": prompt.pixels[None], "image_sizes": torch.tensor([prompt.size])}

    def flops(
        self, prompt: Prompt, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]
    ) -> int:
        """Counts the projector over all patches: it runs before compression."""
        patches = len(prompt.pixels) * math.prod(self.encoder.patches(prompt.pixels))
        return super().flops(prompt, needs, patches, rows_per_layer)
