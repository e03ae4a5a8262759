"""CLIP's encoder: [CLS] leads the patches and says by its attention which of them count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.engine.encoder import VisionEncoder


@dataclass(frozen=True, eq=False, repr=False)
class ClipEncoder(VisionEncoder):
    """The stock modules of `CLIPVisionModel`."""

    prefix: ClassVar[int] = 1

    def embed(self, pixels: Tensor) -> Tensor:
        return self.tower.pre_layrnorm(self.tower.embeddings(pixels))
