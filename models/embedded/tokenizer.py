"""The embedded models' tokenizer: words, one token a coordinate, and text back letter for letter.

A word keeps the space before it (" cat"), and ", " is one token, so that joining tokens with
nothing between them gives the text, also while it streams.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from models.embedded.world.questions import ANSWERS, vocabulary

PIECES = r", |\d\.\d\d| ?[a-z]+| ?\d+| ?[^\sa-z\d]|\s"
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
PUNCTUATION = ["user", ":", " assistant", "\n", "[", "]", ", ", " "]
COORDINATES = (len(SPECIAL), len(SPECIAL) + 100)  # token ids of 0.00 to 0.99
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] in ('image', 'video') %}"
    "{{ '<' + part['type'] + '>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}"
    "{{ part['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def make_tokenizer(
    texts: Sequence[str] = (*vocabulary(), *ANSWERS), further: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Of the words in `texts`, by default those about pictures, and `further` special tokens."""
    words: dict[str, None] = {}
    for text in [*PUNCTUATION, *texts]:
        words |= dict.fromkeys(re.findall(PIECES, text))
    coordinates = [f"{place / 100:.2f}" for place in range(100)]
    tokens = {
        token: index for index, token in enumerate([*SPECIAL, *coordinates, *words, *further])
    }
    backend = Tokenizer(WordLevel(tokens, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    backend.decoder = decoders.Fuse()
    backend.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokens["<s>"])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        additional_special_tokens=[
            AddedToken(marker, special=True, lstrip=True) for marker in ("<image>", *further)
        ],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
