"""Every method, in the order a person meets them; `create` makes one by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from pruning.base import CompressionMethod
from pruning.methods.fastv import FastV
from pruning.methods.fastvid import FastVID
from pruning.methods.feather import Feather
from pruning.methods.flashvid import FlashVID
from pruning.methods.frames import Frames
from pruning.methods.grid import Grid
from pruning.methods.hivtp import HIVTP
from pruning.methods.holov import HoloV
from pruning.methods.ivcprune import IVCPrune
from pruning.methods.nuwa import Nuwa
from pruning.methods.pooling import Pooling
from pruning.methods.prumerge import PruMerge, PruMergePlus
from pruning.methods.prunevid import PruneVID
from pruning.methods.pyramiddrop import PyramidDrop
from pruning.methods.random import Random
from pruning.methods.sparsevlm import SparseVLM
from pruning.methods.ttm import TTM
from pruning.methods.vanilla import Vanilla
from pruning.methods.visionzip import VisionZip

METHODS: tuple[type[CompressionMethod], ...] = (
    Vanilla,
    FlashVID,
    Nuwa,
    VisionZip,
    PruMerge,
    PruMergePlus,
    HoloV,
    HIVTP,
    FastV,
    SparseVLM,
    PyramidDrop,
    Feather,
    IVCPrune,
    FastVID,
    PruneVID,
    TTM,
    Pooling,
    Frames,
    Grid,
    Random,
)


def create(name: str, preset: str | None = None, **knobs: Any) -> CompressionMethod:
    """A method by name, "nuwa" or with a preset "nuwa:paper"; `knobs` override the preset's."""
    name, _, suffix = name.partition(":")
    by_name = {method.name: method for method in METHODS}
    method = by_name[one_of(by_name, name, "method")]
    chosen = preset or suffix or next(iter(method.PRESETS))
    defaults = method.PRESETS[one_of(method.PRESETS, chosen, f"{method.title} preset")]
    for knob in knobs:
        one_of([field.name for field in fields(method)], knob, f"{method.title} knob")
    return method(**{**defaults, **knobs})


def one_of(names: Collection[str], name: str, kind: str) -> str:
    if name not in names:
        raise ValueError(f"Unknown {kind} {name!r}. Choose one of {', '.join(names)}.")
    return name
