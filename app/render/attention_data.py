"""A lane's analysis as plain data, from which the page draws attention at any layer and word."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from models.engine.record import LaneAnalysis

MOST_BYTES = 2_000_000  # of the maps of a lane; words beyond are counted in the whole answer only
END = "end"  # the word of a token without text


def attention_data(analysis: LaneAnalysis) -> dict[str, Any]:
    """Maps of the whole answer and of its tokens, the logit lens, and the curves.

    A map's byte b stands for the attention `most` × (b / 255)², so that small shares stay apart.
    """
    count, layers, num_tokens = analysis.maps.shape
    sent = min(count, max(MOST_BYTES // max(layers * num_tokens, 1) - 1, 0))
    maps = np.concatenate([analysis.maps.mean(axis=0, keepdims=True), analysis.maps[:sent]])
    most = maps.max(axis=2, initial=0)  # (1 + sent, L)
    shares = np.sqrt(maps.clip(min=0) / np.maximum(most, 1e-30)[:, :, None])
    return {
        "words": [token.strip() or END for token in analysis.tokens[:sent]],
        "left_out": count - sent,
        "layers": layers,
        "count": num_tokens,
        "most": [[float(f"{value:.4g}") for value in row] for row in most.tolist()],
        "maps": _packed(np.rint(255 * shares).astype(np.uint8)),  # (1 + sent, L, N)
        "said": _packed(analysis.words.astype("<i4")),  # (L, N) of the vocabulary, −1 = none
        "vocabulary": list(analysis.vocabulary),
        "curves": {name: _numbers(values) for name, values in analysis.curves.items()},
        "encoder": {name: _numbers(values) for name, values in analysis.encoder_curves.items()},
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]
