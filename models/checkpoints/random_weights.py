"""Builds a model of a published shape with random weights, for timing."""

from __future__ import annotations

from typing import Any

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "{{ ' ' + part['text'] if part['type'] == 'text' else 'BEFORE' + part['type'] + 'AFTER' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} >{% endif %}"
)


def build(
    config: Any, special_tokens: dict[str, str], marker: str, device: str, dtype: str
) -> tuple:
    """The model, allocated on its device, and a tokenizer for it.

    Args:
        config: of the shape; its token ids are changed to those of the tokenizer.
        special_tokens: the token of each id in the config.
        marker: placeholder of an upload in the chat template; `{}` is its kind.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    tokenizer = byte_tokenizer(tuple(special_tokens.values()), marker)
    for name, token in special_tokens.items():
        setattr(config, name, tokenizer.convert_tokens_to_ids(token))
    config.text_config.bos_token_id = tokenizer.bos_token_id
    # One past the last id: no answer ends by chance, so all lanes decode the same number of tokens.
    config.text_config.eos_token_id = config.text_config.vocab_size
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(
            config, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
    return model, tokenizer


def byte_tokenizer(special_tokens: tuple[str, ...], marker: str) -> Any:
    """A tokenizer with one token per byte, and the special tokens of a family."""
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
        extra_special_tokens=list(special_tokens),
        chat_template=TEMPLATE.replace("BEFORE", before).replace("AFTER", after),
    )
