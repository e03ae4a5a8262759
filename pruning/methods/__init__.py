"""The list of all methods in the order of the page; `create` returns one by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from pruning.base import CompressionMethod, PositionStrategy
from pruning.errors import ExplainedError
from pruning.methods.cdpruner import CDPruner
from pruning.methods.composed import PLACES, Composed
from pruning.methods.dart import DART
from pruning.methods.divprune import DivPrune
from pruning.methods.downsample import Downsample
from pruning.methods.dycoke import DyCoke
from pruning.methods.evs import EVS
from pruning.methods.fastervlm import FasterVLM
from pruning.methods.fastv import FastV
from pruning.methods.fastvid import FastVID
from pruning.methods.feather import Feather
from pruning.methods.flashvid import FlashVID
from pruning.methods.framefusion import FrameFusion
from pruning.methods.frames import Frames
from pruning.methods.grid import Grid
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
        method, defaults = Composed, parts_of(name, family)
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


def is_composed(name: str) -> bool:
    """Whether a name is composed of parts."""
    return "+" in name or name.rpartition(".")[2] in PLACES


def parts_of(name: str, family: str = "") -> dict[str, Any]:
    """The knobs of `Composed` for a name; its parts may come in any order."""
    knobs: dict[str, Any] = {}
    for word in name.split("+"):
        knob, value = part_of(word.strip(), family)
        if knob in knobs:
            kind = f"{PLACES[knob]} parts" if knob in PLACES else "position strategies"
            raise ExplainedError(f"Two {kind} came in {_quoted(name)}, wanted one.")
        knobs[knob] = value
    return knobs


def part_of(word: str, family: str) -> tuple[str, Any]:
    """A knob of `Composed` and its value, for "rpme", "nuwa:paper.before" or "fastv.inner"."""
    strategies = [strategy.value for strategy in PositionStrategy]
    if word in strategies:
        return "numbering", word
    method, _, place = word.rpartition(".")
    if place not in PLACES:
        raise ExplainedError(
            f"Unknown part {_quoted(word)}. Wanted a method's, such as nuwa.before or fastv.inner, "
            f"or positions: {', '.join(strategies)}."
        )
    acting = [method.name for method in METHODS if method.acts(place)]
    one_of(acting, method.partition(":")[0], f"{PLACES[place]} part")
    return place, create(method, family=family)


def one_of(names: Collection[str], name: str, kind: str) -> str:
    if name not in names:
        raise ExplainedError(f"Unknown {kind} {_quoted(name)}. Choose one of {', '.join(names)}.")
    return name


def _quoted(name: str) -> str:
    return repr(name[:80])
