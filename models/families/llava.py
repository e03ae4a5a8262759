"""LLaVA: a CLIP encoder, a two-layer projector, a Llama. The picture is padded to a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import Image
from torch import Tensor

from models.engine.base import Prompt
from models.families.encoders import ClipEncoder
from models.families.llava_base import LlavaBase
from models.uploads.media import Media
from pruning.base import Needs
from pruning.errors import ExplainedError
from pruning.tokens import TokenLayout

MAX_SIDE = 4096  # pixels of a picture before padding: the padded square must fit in memory


@dataclass(frozen=True, eq=False, repr=False)
class LlavaAdapter(LlavaBase):
    """Runs the stock modules of `LlavaForConditionalGeneration` one by one."""

    media: ClassVar[frozenset[str]] = frozenset({"image"})

    def __post_init__(self) -> None:
        layer = self.model.config.vision_feature_layer
        strategy = self.model.config.vision_feature_select_strategy
        if strategy != "default" or not isinstance(layer, int):
            raise ExplainedError(
                f"The config of this LLaVA selects {strategy!r} features of layer {layer}; "
                "accepted are 'default' features (without [CLS]) of one layer."
            )

    @property
    def encoder(self) -> ClipEncoder:
        return ClipEncoder(self.model.model.vision_tower, self.model.config.vision_feature_layer)

    def prepare(
        self, media: Media, question: str, grid: tuple[int, int, int] | None = None
    ) -> Prompt:
        turn = self.turn(question, "image")
        picture = Image.fromarray(media.frames[0])
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        square, region = pad_to_square(picture, self.processor.image_mean)
        _, rows, cols = grid or (1, self.encoder.side, self.encoder.side)
        patch = self.model.config.vision_config.patch_size
        size = {"height": rows * patch, "width": cols * patch}
        pixels = self.processor(
            square, size=size, do_center_crop=False, return_tensors="pt"
        ).pixel_values
        layout = TokenLayout.regular(1, rows, cols, region)
        return Prompt(**turn, pixels=pixels.to(self.device), layout=layout, region=region)

    def layout(self, prompt: Prompt, needs: Needs) -> TokenLayout:
        placeless = int("cls" in needs.encoder)
        return TokenLayout.regular(*prompt.layout.grid, prompt.region, placeless)

    def tokens(self, prompt: Prompt, needs: Needs, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        first = 0 if "cls" in needs.encoder else self.encoder.prefix
        return {name: values[0, first:] for name, values in maps.items()}

    def project(self, features: Tensor) -> Tensor:
        return self.model.model.multi_modal_projector(features[None])[0]


def pad_to_square(
    picture: Image.Image, mean: list[float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Centres the picture on the mean colour; also returns the square as fractions of it."""
    (width, height), side = picture.size, max(picture.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side), tuple(int(255 * channel) for channel in mean))
    square.paste(picture, (left, top))
    region = (-left / width, -top / height, (side - left) / width, (side - top) / height)
    return square, region
