"""Text about the signals that a method needs."""

from __future__ import annotations

from pruning.base import Needs

ENCODER = {
    "attention": "received attention",
    "keys": "keys",
    "shallow_attention": "received attention at a quarter of its depth",
    "last_attention": "received attention of its last layer, as one head",
    "last_keys": "keys of its last layer",
    "cls": "[CLS]",
    "frames": "one vector for each frame",
    "text": "embeddings of the text",
}
LLM = {
    "attention": "attention of {rows}",
    "ahead": "attention of {rows} in the next layer",
    "hidden": "hidden states",
    "previous": "hidden states of the layer before",
    "normed": "hidden states after the last norm",
    "inputs": "visual tokens as they enter",
    "queries": "queries of {rows}",
    "keys": "keys",
    "values": "values",
    "text": "hidden states of the text",
    "text_normed": "hidden states of the text after the last norm",
    "text_keys": "keys of the text",
    "text_inputs": "text as it enters",
    "text_values": "values of the text",
    "context_values": "values of all other rows",
    "rotary": "rotary angles of visual tokens",
    "query_rotary": "rotary angles of {rows}",
}
REQUEST = {"gaze": "points of gaze", "events": "changes of brightness between frames"}
GUIDE = {"guidance": "attention of the question and the answer"}
ROWS = {
    "none": "",
    "last": "the last text token",
    "last3": "the last three text tokens",
    "text": "the text tokens",
}


def signals(needs: Needs) -> str:
    """ "of the encoder: keys; of the LLM: attention of the last text token"."""
    encoder = [text for name, text in ENCODER.items() if name in needs.encoder]
    if needs.encoder_span:
        encoder.append(f"hidden states {_depth(*needs.encoder_span)}")
    if needs.encoder_received:
        encoder.append(f"received attention {_depth(*needs.encoder_received)}")
    llm = [
        text.format(rows=ROWS[needs.llm_queries]) for name, text in LLM.items() if name in needs.llm
    ]
    if llm and not needs.llm_rope:
        llm.append("without rotary embedding")
    guide = [text for name, text in GUIDE.items() if name in needs.llm]
    request = [text for name, text in REQUEST.items() if name in needs.request]
    parts = {"encoder": encoder, "request": request, "LLM": llm, "guide": guide}
    texts = [f"of the {part}: {', '.join(names)}" for part, names in parts.items() if names]
    return "; ".join(texts) or "none"


def _depth(low: float, high: float) -> str:
    return f"from {low:.0%} to {high:.0%} of its depth".replace("%", " %")
