"""The tokenizer of both embedded models: a token for each word and for each coordinate.

A word includes the space before it (" cat"), and ", " is one token. So the text is the tokens
joined without separators, also while it streams.
"""

from __future__ import annotations

import re
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from models.embedded.world import clip_questions, questions

PIECES = r", |\d\.\d\d| ?[a-z]+| ?\d+| ?[^\sa-z\d]|\s"
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<image>", "<video>"]
SYSTEM = (  # sentences that may precede the upload
    "a person asks questions about what is shown.",
    "look at the picture and answer.",
    "answer with one word or with a box.",
    "this is a drawn scene of a few objects. please answer each question in a few words.",
)
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


@cache
def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of all words in questions and answers about pictures and clips."""
    texts = [*PUNCTUATION, *SYSTEM, *(f" {words}" for words in SYSTEM)]
    for module in (questions, clip_questions):
        texts += [*module.vocabulary(), *(f" {answer}" for answer in module.ANSWERS)]
        texts += module.ANSWERS
    words: dict[str, None] = {}
    for text in texts:
        words |= dict.fromkeys(re.findall(PIECES, text))
    coordinates = [f"{place / 100:.2f}" for place in range(100)]
    tokens = {token: index for index, token in enumerate([*SPECIAL, *coordinates, *words])}
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
            AddedToken(marker, special=True, lstrip=True) for marker in ("<image>", "<video>")
        ],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
