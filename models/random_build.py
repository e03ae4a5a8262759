"""A model of a published shape with random weights: its times are real, its answers are noise."""

from __future__ import annotations

from typing import Any

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "{{ ' ' + part['text'] if part['type'] == 'text' else 'BEFORE' + part['type'] + 'AFTER' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} >{% endif %}"
)


def build(config: Any, signs: dict[str, str], marker: str, device: str, dtype: str) -> tuple:
    """The model, made on its device, and a tokenizer for it.

    Args:
        config: of the shape; its ids are set to those of the tokenizer, its sizes stay.
        signs: the token that each id of the config stands for.
        marker: what the chat template writes for an upload, `{}` being its kind.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    tokenizer = byte_tokenizer(tuple(signs.values()), marker)
    for name, sign in signs.items():
        setattr(config, name, tokenizer.convert_tokens_to_ids(sign))
    config.text_config.bos_token_id = tokenizer.bos_token_id
    # One past the last id: no answer ends by chance, so every lane decodes as many tokens.
    config.text_config.eos_token_id = config.text_config.vocab_size
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(
            config, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
    return model, tokenizer


def byte_tokenizer(signs: tuple[str, ...], marker: str) -> Any:
    """One token a byte, and the special tokens that a family needs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    before, after = marker.split("{}")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=list(signs),
        chat_template=TEMPLATE.replace("BEFORE", before).replace("AFTER", after),
    )
