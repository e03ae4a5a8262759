"""The signals that a method needs, in words."""

from __future__ import annotations

from pruning.base import Needs

ENCODER = {
    "attention": "the attention that its tokens receive",
    "keys": "keys",
    "last_attention": "the attention that tokens receive in its last layer, as one head",
    "last_keys": "keys of its last layer",
    "cls": "[CLS]",
    "frames": "one vector a frame",
    "text": "embeddings of the text",
}
LLM = {
    "attention": "attention of {rows}",
    "ahead": "attention that {rows} would give next",
    "hidden": "hidden states",
    "inputs": "visual tokens as they came in",
    "queries": "queries of {rows}",
    "keys": "keys",
    "values": "values",
    "text": "hidden states of the text",
    "text_inputs": "the text as it came in",
    "text_values": "values of the text",
    "context_values": "values of all other rows",
    "rotary": "rotary angles of visual tokens",
    "query_rotary": "rotary angles of {rows}",
}
GUIDE = {"guidance": "attention, as it reads the question and answers it"}
ROWS = {
    "none": "",
    "last": "the last text token",
    "last3": "the last three text tokens",
    "text": "the text tokens",
}


def signals(needs: Needs) -> str:
    """ "of the encoder: keys; of the LLM: attention of the last text token"."""
    encoder = [words for name, words in ENCODER.items() if name in needs.encoder]
    if needs.encoder_span:
        encoder.append(f"hidden states {_depth(*needs.encoder_span)}")
    if needs.encoder_received:
        received = "the attention that tokens receive"
        encoder.append(f"{received} {_depth(*needs.encoder_received)}")
    llm = [
        words.format(rows=ROWS[needs.llm_queries])
        for name, words in LLM.items()
        if name in needs.llm
    ]
    if llm and not needs.llm_rope:
        llm.append("without rotary embedding")
    guide = [words for name, words in GUIDE.items() if name in needs.llm]
    parts = {"encoder": encoder, "LLM": llm, "guide": guide}
    told = [f"of the {part}: {', '.join(words)}" for part, words in parts.items() if words]
    return "; ".join(told) or "none"


def _depth(low: float, high: float) -> str:
    return f"from {low:.0%} to {high:.0%} of its depth".replace("%", " %")
