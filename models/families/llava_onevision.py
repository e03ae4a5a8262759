"""LLaVA-OneVision: a SigLIP encoder, a projector, an LLM; crops of pictures, frames of clips.

The model pools frames, and unpads and scales down crops, after the projector, which is not linear.
So methods of either seam act after these steps, as in the papers on video. Keys, hidden states and
attention go through the same steps as the features.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import torch
from PIL import Image
from torch import Tensor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from models.engine.base import Prompt
from models.families.anyres import lay_out
from models.families.encoders import SiglipEncoder
from models.families.llava_base import LlavaBase
from models.grounding import FORMATS, WHOLE, Format
from models.uploads.media import Media
from pruning.base import Needs
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
            raise ValueError(
                f"The config of this LLaVA-OneVision selects {strategy!r} features of layer "
                f"{layer}; accepted are 'full' features of one layer."
            )

    @property
    def encoder(self) -> SiglipEncoder:
        return SiglipEncoder(self.model.model.vision_tower, self.model.config.vision_feature_layer)

    @property
    def separator(self) -> Tensor:
        return self.model.model.image_newline[None]

    def prepare(self, media: Media, question: str) -> Prompt:
        turn, kind, size = self.turn(question, media.kind), media.kind, media.frames.shape[1:3]
        pixels, layout, separators = (self.clip if kind == "video" else self.picture)(media)
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

    def clip(self, media: Media) -> tuple[Tensor, TokenLayout, Tensor]:
        """Pixels of the frames, their layout, and one newline after the last frame."""
        pixels, side, seen = self.frames(media), -(-self.encoder.side // 2), self.encoder.covered
        layout = TokenLayout.regular(len(pixels), side, side, (0.0, 0.0, seen, seen))
        return pixels, layout, torch.tensor([len(layout)])

    def frames(self, media: Media) -> Tensor:
        """Pixels (T, 3, h, w) of the frames, each resized to a square."""
        like = self.processor
        squeeze = SiglipImageProcessorPil(
            size=like.size,
            resample=like.resample,
            image_mean=like.image_mean,
            image_std=like.image_std,
        )
        frames = [Image.fromarray(frame) for frame in media.frames]
        return squeeze(frames, return_tensors="pt").pixel_values

    def pool(self, maps: Tensor) -> Tensor:
        """Pools the patches of frames (T, n, C) to (T, m, C)."""
        return self.model.model.apply_pooling(maps)

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        model, config = self.model.model, self.model.config
        maps = {**maps, "features": model.multi_modal_projector(maps["features"])}
        if prompt.kind == "video":
            return {name: self.pool(values).flatten(0, 1) for name, values in maps.items()}
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
        patches = len(prompt.pixels) * self.encoder.side**2
        return super().flops(prompt, needs, patches, rows_per_layer)
