"""The list of all methods in the order of the page; `create` returns one by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from pruning.base import CompressionMethod
from pruning.errors import ExplainedError
from pruning.methods.cdpruner import CDPruner
from pruning.methods.composed import PLACES, Composed
from pruning.methods.composition import is_composed, parts_of, quoted
from pruning.methods.dart import DART
from pruning.methods.divprune import DivPrune
from pruning.methods.downsample import Downsample
from pruning.methods.dycoke import DyCoke
from pruning.methods.epvlm import EPVLM
from pruning.methods.evs import EVS
from pruning.methods.fastervlm import FasterVLM
from pruning.methods.fastv import FastV
from pruning.methods.fastvid import FastVID
from pruning.methods.feather import Feather
from pruning.methods.flashvid import FlashVID
from pruning.methods.framefusion import FrameFusion
from pruning.methods.frames import Frames
from pruning.methods.gazevlm import GazeVLM
from pruning.methods.grid import Grid
from pruning.methods.hero import HERO
from pruning.methods.hivtp import HIVTP
from pruning.methods.holitom import HoliTom
from pruning.methods.holov import HoloV
from pruning.methods.ivcprune import IVCPrune
from pruning.methods.nuwa import Nuwa
from pruning.methods.pooling import Pooling
from pruning.methods.prumerge import PruMerge, PruMergePlus
from pruning.methods.prunevid import PruneVID
from pruning.methods.pyramiddrop import PyramidDrop
from pruning.methods.random import Random
from pruning.methods.sgl import SGL
from pruning.methods.sparsevlm import SparseVLM
from pruning.methods.ttm import TTM
from pruning.methods.v2drop import V2Drop
from pruning.methods.vanilla import Vanilla
from pruning.methods.vidcom2 import VidCom2
from pruning.methods.visionzip import VisionZip
from pruning.methods.vispruner import VisPruner
from pruning.methods.vscan import VScan

METHODS: tuple[type[CompressionMethod], ...] = (
    Vanilla,
    Downsample,
    FlashVID,
    Nuwa,
    VisionZip,
    PruMerge,
    PruMergePlus,
    HoloV,
    HIVTP,
    DivPrune,
    CDPruner,
    FasterVLM,
    VisPruner,
    VScan,
    HERO,
    GazeVLM,
    FastV,
    SparseVLM,
    PyramidDrop,
    Feather,
    IVCPrune,
    SGL,
    DART,
    V2Drop,
    FastVID,
    PruneVID,
    TTM,
    EVS,
    EPVLM,
    VidCom2,
    HoliTom,
    DyCoke,
    FrameFusion,
    Pooling,
    Frames,
    Grid,
    Random,
)


def create(
    name: str, preset: str | None = None, family: str = "", **knobs: Any
) -> CompressionMethod:
    """A method by name: "nuwa", "nuwa:paper" or composed, "nuwa:paper.before+fastv.inner+rpme".

    Without a preset, the preset named after the model's `family` is used, or else the first one.
    `knobs` override those of the preset.
    """
    method: type[CompressionMethod]
    defaults: Mapping[str, Any]
    if is_composed(name):
        method, defaults = Composed, parts_of(name, partial(part, family=family))
    else:
        name, _, suffix = name.partition(":")
        by_name = {method.name: method for method in METHODS}
        method = by_name[one_of(by_name, name, "method")]
        tuned = family if family in method.PRESETS else next(iter(method.PRESETS))
        chosen = preset or suffix or tuned
        defaults = method.PRESETS[one_of(method.PRESETS, chosen, f"{method.title} preset")]
    for knob in knobs:
        one_of([field.name for field in fields(method)], knob, f"{method.title} knob")
    return method(**{**defaults, **knobs})


def part(name: str, place: str, family: str) -> CompressionMethod:
    """A method that acts at a place, for a composed one."""
    acting = [method.name for method in METHODS if method.acts(place)]
    one_of(acting, name.partition(":")[0], f"{PLACES[place]} part")
    return create(name, family=family)


def one_of(names: Collection[str], name: str, kind: str) -> str:
    if name not in names:
        raise ExplainedError(f"Unknown {kind} {quoted(name)}. Choose one of {', '.join(names)}.")
    return name
