"""SigLIP's encoder: no [CLS], so a patch counts by the attention it receives from all patches."""

from __future__ import annotations

from dataclasses import dataclass

from models.engine.encoder import VisionEncoder


@dataclass(frozen=True, eq=False, repr=False)
class SiglipEncoder(VisionEncoder):
    """The stock modules of `SiglipVisionModel` without its pooling head, which LLaVA drops."""

    @property
    def seen(self) -> float:
        """The share of a view's side that whole patches cover: 378 of 384 pixels are 27 · 14."""
        return self.side * self.tower.config.patch_size / self.tower.config.image_size
