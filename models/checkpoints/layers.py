"""Refuses models with layers that the engine cannot run, in one sentence that says why."""

from __future__ import annotations

from typing import Any

WANTED = "full_attention"


def check_layers(title: str, config: Any) -> None:
    """Raises `ValueError` if a layer of the LLM does not attend to all rows before it.

    A layer of linear attention keeps one state instead of keys and values by token, so a dropped
    token stays in it; a layer with a sliding window sees other tokens after a drop.
    """
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or [WANTED]) - {WANTED}
    if kinds:
        names = " and ".join(sorted(kind.replace("_", " ") for kind in kinds))
        raise ValueError(
            f"{title} has layers of {names}, which do not keep keys and values of every token: "
            "dropping tokens inside the LLM has no meaning there. Choose a model whose layers all "
            "have full attention."
        )
