"""The vision encoders of the LLaVA models: CLIP's and SigLIP's stock modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.engine.encoder import VisionEncoder


@dataclass(frozen=True, eq=False, repr=False)
class ClipEncoder(VisionEncoder):
    """The modules of `CLIPVisionModel`; [CLS] precedes the patches."""

    prefix: ClassVar[int] = 1

    def embed(self, pixels: Tensor) -> Tensor:
        return self.tower.pre_layrnorm(super().embed(pixels))


@dataclass(frozen=True, eq=False, repr=False)
class SiglipEncoder(VisionEncoder):
    """The modules of `SiglipVisionModel` without the pooling head, which LLaVA does not use."""

    @property
    def covered(self) -> float:
        """Share of a view's side that whole patches cover, such as 27 · 14 of 384 pixels."""
        return self.side * self.tower.config.patch_size / self.tower.config.image_size
