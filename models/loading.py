"""Loads the model of a card. Heavy imports are inside the functions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import devices, memory, weights
from models.catalog import INT4, RANDOM, ModelCard, find
from models.checkpoints import int4, random_weights
from models.engine.turns import TURNS
from models.grounding import FORMATS
from models.recipes import FAMILIES, Family
from models.unlisted import adopt, read_config
from pruning.errors import ExplainedError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from models.engine.base import Adapter

READ_ERRORS = OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError


def load(name: str, device: str | None = None, dtype: str | None = None) -> Adapter:
    """Loads a model by name: by default on a GPU, in the format that `best_dtype` names.

    Downloads nothing. Raises `ExplainedError` if weights are missing or damaged, or if the model
    does not fit in free memory.
    """
    return load_card(adopt(name), device, dtype)


def load_card(card: ModelCard, device: str | None = None, dtype: str | None = None) -> Adapter:
    """Loads the model of a card; see `load`."""
    device, dtype, family, folder = check(card, device, dtype)
    with TURNS.load():
        if folder is None:
            parts = build_random(card, family, device, dtype)
        else:
            parts = read_checkpoint(card, folder, family, device, dtype)
    model, tokenizer, processor = parts
    model = model.to(device).eval().requires_grad_(False)
    adapter = family.adapter(model, tokenizer, processor, grounding=FORMATS[card.grounding])
    if not card.guide:
        return adapter
    from models.engine.base import Guide

    guide = find(card.guide + RANDOM if card.random else card.guide)
    load_guide = cache(partial(load_card, guide, device, dtype))  # loads at its first use
    return replace(adapter, guide=Guide(guide.title, load_guide))


def check(
    card: ModelCard, device: str | None = None, dtype: str | None = None
) -> tuple[str, str, Family, Path | None]:
    """Resolves device, dtype, family and folder. Raises `ExplainedError` if loading would fail."""
    device = device or devices.best_device()
    _check_device(device)
    if dtype and dtype not in memory.UNITS:
        raise ExplainedError(f"The dtype is {dtype!r}; choose one of {', '.join(memory.UNITS)}.")
    family = FAMILIES[card.family](card)
    folder = None if card.random else weights.find_folder(card)
    if folder is not None:
        weights.check_files(card, folder, family.architecture)
    if card.int4:
        int4.check_packages(card.title)
    dtype = dtype or _best_dtype(card, device)
    memory.check(card, config_of(card), device, dtype)
    return device, dtype, family, folder


def describe(card: ModelCard, device: str | None = None, dtype: str | None = None) -> Iterator[str]:
    """One line on model, device and memory; another one if a driver is here but CUDA cannot run.

    Raises `ExplainedError` if loading would fail.
    """
    device, dtype, *_ = check(card, device, dtype)
    if device == "cpu" and (reason := devices.why_no_cuda()):
        yield f"{reason}; running on the CPU"
    needed = memory.estimate(config_of(card), card.tokens, dtype, int4=card.int4)
    yield f"{card.title} on {devices.device_name(device)}, {dtype}, {memory.share(needed, device)}"


def _best_dtype(card: ModelCard, device: str) -> str:
    large = device == "cpu" and memory.parameters(config_of(card)) >= memory.SMALL
    return devices.best_dtype(device, large)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # an unknown name, or a device that is not available
        raise ExplainedError(
            f"There is no device {device!r} here; leave TOKENSCOPE_DEVICE empty, or set it to cpu."
        ) from None


def config_of(card: ModelCard) -> Any:
    """The config of a model: of its shape if it is a listed repository, else its own file."""
    if not card.revision or card.adopted:
        return read_config(card.family, weights.find_folder(card))
    from models.shapes import SHAPES

    return SHAPES[card.name.removesuffix(RANDOM).removesuffix(INT4)]()


def build_random(card: ModelCard, family: Family, device: str, dtype: str) -> tuple:
    config = config_of(card)
    model, tokenizer = random_weights.build(
        config, family.special_tokens, family.marker, device, dtype
    )
    return model, tokenizer, family.new_processor(config)


def read_checkpoint(
    card: ModelCard, folder: Path, family: Family, device: str, dtype: str
) -> tuple:
    """Model, tokenizer and processor of a checkpoint. Runs no code from its files."""
    from models.families.chat import load_tokenizer

    try:
        tokenizer = load_tokenizer(folder)
        model = family.read(folder, dtype, **int4.options(dtype, device) if card.int4 else {})
        read, new = family.read_processor, family.new_processor
        processor = read(folder) if read else new(model.config)
    except READ_ERRORS as error:
        log.exception("%s cannot be read", card.name)
        reason, *_ = f"{error}".strip().replace(f"{folder}", card.source).splitlines() or ["empty"]
        raise ExplainedError(
            f"{card.title} cannot be read ({reason[:120]}); {weights.repair_advice(card)}."
        ) from None
    model.name_or_path = f"{folder}"  # a record takes the commit from this path
    return model, tokenizer, processor
