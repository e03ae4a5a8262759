"""LLaVA: a CLIP encoder, a two-layer projector, a Llama. The picture is padded to a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerBase
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from models.base import Prompt, Sequence
from models.clip import ClipEncoder
from models.decoder import Decoder
from models.flops import matmul_flops
from models.grounding import parse_boxes, to_picture
from models.media import Media
from pruning.base import Needs, PositionStrategy
from pruning.positions import place
from pruning.token_map import TokenMap
from pruning.tokens import TokenLayout, VisualTokens

MAX_SIDE = 4096  # of a picture before it is padded: a square of the longer side must fit in memory


@dataclass(frozen=True, eq=False, repr=False)
class LlavaAdapter:
    """Runs the stock modules of `LlavaForConditionalGeneration` one by one."""

    model: LlavaForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase
    processor: CLIPImageProcessorPil

    media: ClassVar[frozenset[str]] = frozenset({"image"})

    def __post_init__(self) -> None:
        strategy = self.model.config.vision_feature_select_strategy
        if strategy != "default":
            raise ValueError(
                f"This LLaVA selects {strategy!r} features, wanted 'default': no [CLS]."
            )

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def conditions(self) -> dict[str, str]:
        on_cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if on_cuda else "CPU",
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "attention": self.model.config.text_config._attn_implementation,
        }

    @property
    def encoder(self) -> ClipEncoder:
        return ClipEncoder(self.model.model.vision_tower, self.model.config.vision_feature_layer)

    @property
    def decoder(self) -> Decoder:
        return Decoder(self.model.model.language_model, self.model.lm_head)

    def prepare(self, media: Media, question: str) -> Prompt:
        before, after = self.ids(question)
        picture = Image.fromarray(media.frames[0])
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        square, region = pad_to_square(picture, self.processor.image_mean)
        side = self.model.config.vision_config.image_size
        pixels = self.processor(
            square, size={"height": side, "width": side}, do_center_crop=False, return_tensors="pt"
        ).pixel_values
        return Prompt(
            before=before.to(self.device),
            after=after.to(self.device),
            pixels=pixels.to(self.device),
            layout=self.layout(region),
            region=region,
        )

    def ids(self, question: str) -> tuple[Tensor, Tensor]:
        """The chat turn before and after its one placeholder."""
        for token in self.tokenizer.all_special_tokens:
            if token in question:
                raise ValueError(
                    f"The question contains {token}, one of the model's own signs; leave it out."
                )
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        starts = self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)
        ids = torch.tensor(self.tokenizer(text, add_special_tokens=not starts).input_ids)
        (at,) = (ids == self.model.config.image_token_id).nonzero().flatten().tolist()
        return ids[:at], ids[at + 1 :]

    def layout(self, region: tuple[float, float, float, float], placeless: int = 0) -> TokenLayout:
        return TokenLayout.regular(1, self.encoder.side, self.encoder.side, region, placeless)

    def encode(self, prompt: Prompt, needs: Needs) -> VisualTokens:
        with_cls, with_text = "cls" in needs.encoder, "text" in needs.encoder
        return VisualTokens(
            layout=self.layout(prompt.region, placeless=1) if with_cls else prompt.layout,
            key_heads=self.model.config.vision_config.num_attention_heads,
            text=self.decoder.embed(prompt.after) if with_text else None,
            **self.encoder.run(prompt.pixels, needs),
        )

    def project(self, features: Tensor) -> Tensor:
        return self.model.model.multi_modal_projector(features[None])[0]

    def splice(
        self,
        prompt: Prompt,
        visual: VisualTokens,
        token_map: TokenMap,
        tokens: Tensor,
        strategy: PositionStrategy,
    ) -> Sequence:
        embed, start = self.decoder.embed, len(prompt.before)
        places = raster_places(visual.layout, token_map.anchors)  # (K,)
        ids, text_id = place(strategy, places, start, visual.layout.num_placed)
        before = torch.arange(start, device=ids.device)
        after = text_id + torch.arange(len(prompt.after), device=ids.device)
        return Sequence(
            embeds=torch.cat([embed(prompt.before), tokens, embed(prompt.after)]),
            positions=torch.cat([before, ids, after]),
            visual=slice(start, start + len(token_map)),
            anchors=token_map.anchors,
            layout=visual.layout,
        )

    def generate(self, prompt: Prompt, max_new_tokens: int, **options: Any) -> Any:
        """What stock transformers makes of the same prompt: the measure of our own loops."""
        count, marker = len(prompt.layout), self.model.config.image_token_id
        ids = torch.cat([prompt.before, prompt.before.new_full((count,), marker), prompt.after])
        return self.model.generate(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids)[None],
            pixel_values=prompt.pixels,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            **options,
        )

    @property
    def end_ids(self) -> frozenset[int]:
        ends = self.model.generation_config.eos_token_id or self.tokenizer.eos_token_id
        return frozenset(ends if isinstance(ends, list) else [ends])

    def to_text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def boxes(self, prompt: Prompt, answer: str) -> np.ndarray:
        """LLaVA-1.5 writes boxes as fractions of the padded square."""
        return to_picture(parse_boxes(answer), prompt.region)

    def flops(self, needs: Needs, projected: int, rows_per_layer: tuple[int, ...]) -> int:
        inner = self.model.config.vision_config.hidden_size
        outer = self.model.config.text_config.hidden_size
        projector = matmul_flops(projected, inner, outer) + matmul_flops(projected, outer, outer)
        return self.encoder.flops(needs) + projector + self.decoder.flops(rows_per_layer)


def raster_places(layout: TokenLayout, anchors: Tensor) -> Tensor:
    """(K,) rank of each anchor among the placed tokens; −1 where it has no place."""
    placed = torch.from_numpy(layout.placed).to(anchors.device)  # (N,) bool
    rank = torch.where(placed, placed.cumsum(0) - 1, -1)
    return torch.where(anchors >= 0, rank[anchors.clamp_min(0)], -1)


def pad_to_square(
    picture: Image.Image, mean: list[float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The picture centred on the processor's mean colour, and the square in fractions of it."""
    (width, height), side = picture.size, max(picture.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side), tuple(int(255 * channel) for channel in mean))
    square.paste(picture, (left, top))
    region = (-left / width, -top / height, (side - left) / width, (side - top) / height)
    return square, region
