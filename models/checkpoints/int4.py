"""Reads the linear layers of an LLM in 4 bits (NF4): transformers does it with bitsandbytes.

Encoder, projector, embeddings and head keep the number format of the model, in which all layers
compute. The encoder is a small share of the weights, and bitsandbytes refuses some of its widths.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pruning.errors import ExplainedError

PACKAGES = ("bitsandbytes", "accelerate")
KEPT = (  # parts of a model, in the names of all families
    "vision_tower",
    "vision_model",
    "visual",
    "multi_modal_projector",
    "connector",
    "lm_head",
)
BYTES = 0.5 + 4 / 64  # of a number: 4 bits, and a float32 scale for each 64 numbers


def check_packages(title: str) -> None:
    """Raises `ExplainedError` if a package is missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ExplainedError(
            f"{title} needs {' and '.join(missing)}; "
            "install them with `pip install -r requirements-int4.txt`."
        )


def options(dtype: str, device: str) -> dict[str, Any]:
    """Arguments of `from_pretrained`."""
    from transformers import BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[f".*{name}" for name in KEPT],  # for 4 bits too; regular expressions
    )
    return {"quantization_config": four_bits, "device_map": {"": device}}


def linear_parameters(model: Any) -> int:
    """Number of parameters that are read in 4 bits."""
    from torch.nn import Linear

    return sum(
        layer.weight.numel()
        for name, layer in model.named_modules()
        if isinstance(layer, Linear) and not set(name.split(".")) & set(KEPT)
    )


def describe(config: Any) -> dict[str, str]:
    """The condition of a measurement that names the format of the LLM's layers, if it is other."""
    quantised = getattr(config, "quantization_config", None)
    return {"LLM layers": f"{quantised.quantization_method()} by bitsandbytes"} if quantised else {}
