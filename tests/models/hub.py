"""Writes tiny random checkpoints in the format of llava-hf's repositories.

Tensors have the names of transformers 4.x and lie in shards; vocabularies are padded; the chat
template is in its own file; the generation settings enable sampling with a penalty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
)

from tests.tiny import randomised

PADDED_VOCABULARY = 384
NAMES_OF_4 = (  # prefix of a tensor in transformers 5.x, and in 4.x
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.vision_tower\.", "vision_tower.vision_model."),
    (r"^model\.", ""),
)
RENDERED = (
    "{% for content in message['content'] | selectattr('type', 'equalto', '@') %}"
    "{{ '<@>' }}{% endfor %}"
)
VICUNA = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    + RENDERED.replace("'<@>'", "'<image>\n'").replace("@", "image")
    + "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    + "".join(RENDERED.replace("@", kind) for kind in ("image", "video"))
    + "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VISION = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "patch_size": 8}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": PADDED_VOCABULARY,
    "torch_dtype": "float16",
}
RESCALED = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True}
PINPOINTS = [[43 * down, 43 * across] for down in (1, 2) for across in (1, 2)]


def llama_tokenizer(folder: Path) -> dict[str, int]:
    """Saves a tokenizer like Llama's, of bytes and a few pieces. Returns its special tokens."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    pieces += [*"abcdefghijklmnopqrstuvwxyzASUIETNRW?:.", "▁W", "he"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    merges = [("▁", "W"), ("h", "e")]
    backend = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    settings = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "legacy": False,
        "image_token": "<image>",
        "extra_special_tokens": {"image_token": "<image>"},
    }
    return save_tokenizer(
        backend, special, settings | {"tokenizer_class": "LlamaTokenizer"}, folder
    )


def qwen_tokenizer(folder: Path, *further: str) -> dict[str, int]:
    """Saves a byte tokenizer with ChatML's tokens and `further`. Returns its special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *further]
    settings = {
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
    }
    return save_tokenizer(
        backend, special, settings | {"tokenizer_class": "Qwen2Tokenizer"}, folder
    )


def save_tokenizer(
    backend: Tokenizer, special: list[str], settings: dict[str, Any], folder: Path
) -> dict[str, int]:
    """Saves a tokenizer with `special` tokens; placeholders have no special flag, as on the hub."""
    signs = {token: token not in ("<image>", "<video>") for token in special}
    for token, is_special in signs.items():
        add = backend.add_special_tokens if is_special else backend.add_tokens
        add([AddedToken(token, normalized=False, special=is_special)])
    ids = {token: backend.token_to_id(token) for token in special}
    decoder = {
        str(index): {"content": token, "special": signs[token], "normalized": False}
        for token, index in ids.items()
    }
    backend.save(str(folder / "tokenizer.json"))
    save_json(folder / "tokenizer_config.json", settings | {"added_tokens_decoder": decoder})
    return ids


def save_llava(folder: Path, **changes: Any) -> LlavaForConditionalGeneration:
    """As llava-hf/llava-1.5-7b-hf; `changes` are to config.json."""
    ids = llama_tokenizer(folder)
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "ignore_index": -100,
        "image_token_index": ids["<image>"],
        "pad_token_id": ids["<pad>"],
        "projector_hidden_act": "gelu",
        "text_config": {**TEXT, "model_type": "llama", "rms_norm_eps": 1e-05},
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.36.0.dev0",
        "vision_config": {
            **VISION,
            "model_type": "clip_vision_model",
            "image_size": 48,
            "num_hidden_layers": 6,
            "projection_dim": 32,
            "vocab_size": 100,
        },
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    } | changes
    save_json(
        folder / "preprocessor_config.json",
        RESCALED
        | {
            "crop_size": {"height": 48, "width": 48},
            "do_center_crop": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_processor_type": "CLIPImageProcessor",
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "processor_class": "LlavaProcessor",
            "resample": 3,
            "rescale_factor": 0.00392156862745098,
            "size": {"shortest_edge": 48},
        },
    )
    processor = {"patch_size": 8, "vision_feature_select_strategy": "default"}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": ids["<pad>"]}
    save_settings(folder, config, processor | {"num_additional_image_tokens": 1}, VICUNA, ends)
    model = LlavaForConditionalGeneration._from_config(LlavaConfig.from_dict(config))
    return save_weights(model, folder)


def onevision_config(ids: Mapping[str, int], tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "model_type": "llava_onevision",
        "image_grid_pinpoints": PINPOINTS,
        "image_token_index": ids["<image>"],
        "video_token_index": ids["<video>"],
        "projector_hidden_act": "gelu",
        "text_config": {
            **TEXT,
            "model_type": "qwen2",
            "num_key_value_heads": 2,
            "rope_theta": 1000000.0,
            "tie_word_embeddings": tied,
        },
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.45.0.dev0",
        "vision_aspect_ratio": "anyres_max_9",
        "vision_config": {
            **VISION,
            "model_type": "siglip_vision_model",
            "image_size": 43,
            "num_hidden_layers": 4,
            "vision_use_head": False,
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    }


def save_onevision(folder: Path, tied: bool) -> LlavaOnevisionForConditionalGeneration:
    """As llava-hf/llava-onevision-qwen2-7b-ov-hf, or `tied` as its 0.5b."""
    ids = qwen_tokenizer(folder, "<image>", "<video>")
    config = onevision_config(ids, tied)
    save_json(
        folder / "preprocessor_config.json",
        RESCALED
        | {
            "do_pad": True,
            "image_grid_pinpoints": PINPOINTS,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "LlavaOnevisionImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "LlavaOnevisionProcessor",
            "resample": 3,
            "rescale_factor": 0.00392156862745098,
            "size": {"height": 43, "width": 43},
        },
    )
    processor = {"num_image_tokens": 25, "vision_feature_select_strategy": "full"}
    ends = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]}
    sampling = {"do_sample": True, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.5}
    save_settings(folder, config, processor | {"video_token": "<video>"}, CHATML, ends | sampling)
    model = LlavaOnevisionForConditionalGeneration._from_config(
        LlavaOnevisionConfig.from_dict(config)
    )
    return save_weights(model, folder)


def save_settings(
    folder: Path,
    config: Mapping[str, Any],
    processor: Mapping[str, Any],
    template: str,
    generation: Mapping[str, Any],
) -> None:
    save_json(folder / "config.json", config)
    save_json(folder / "processor_config.json", {**processor, "image_token": "<image>"})
    save_json(folder / "chat_template.json", {"chat_template": template})
    save_json(folder / "generation_config.json", {**generation, "_from_model_config": True})


def save_weights(model: Any, folder: Path) -> Any:
    """Random weights in two shards with their index, under the names of 4.x."""
    torch.manual_seed(2)
    randomised(model)
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    named = {name_of_4(name): tensor.contiguous() for name, tensor in tensors.items()}
    save_shards(folder, named)
    return model


def name_of_4(name: str) -> str:
    for pattern, replacement in NAMES_OF_4:
        if re.search(pattern, name):
            return re.sub(pattern, replacement, name)
    return name


def save_shards(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes two shards and their index."""
    names = sorted(tensors)
    halves = names[::2], names[1::2]
    index = {}
    for number, half in enumerate(halves, start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(half, file)
    save_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})


def save_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
