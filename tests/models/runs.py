"""Every run of a method on a tiny model, as parameters of the laws, and the lanes they share."""

from __future__ import annotations

import pytest
import torch

from models.engine.base import Sequence
from models.engine.pipeline import Lane
from pruning.base import CompressionMethod
from tests.cases import ONE_EACH, Case
from tests.models.tiny_internvl import tiny_internvl
from tests.models.tiny_smolvlm import tiny_smolvlm
from tests.tiny import SETTINGS, Setting, picture, prefilled

QUICK = "llava"  # the setting on which `make test` runs every case of a method
STAMPED = "qwen3-clip"  # where it runs a few methods alone: the engine's part differs, not theirs
FEW = ("vanilla", "evs", "flashvid", "nuwa", "dycoke", "sparsevlm")


def marks(setting: Setting, case: Case) -> list[pytest.MarkDecorator]:
    """`grid` for what `make test` leaves to `make test-all`: further cases on further models."""
    left_out = setting.id == STAMPED and case.create().name not in FEW
    quick = setting.id == QUICK or (case in ONE_EACH and case.wide)
    return [] if quick and not left_out else [pytest.mark.grid]


RUNS = [
    pytest.param(setting, case, id=f"{setting.id}-{case.id}", marks=marks(setting, case))
    for setting in SETTINGS
    for case in setting.cases
    if setting.runs(case.create())
]
RUNS_WITH_A_RATIO = [run for run in RUNS if run.values[1].has_ratio]
RUNS_BY_NUMBERING = [  # with its own numbering; with every one if it prunes inside the LLM
    pytest.param(*run.values, every, id=f"{run.id}-{every}", marks=[*run.marks, *grid])
    for run in RUNS
    for every in (False, True)
    if not every or type(run.values[1].create()).prune is not CompressionMethod.prune
    for quick in [run.values[0].id == QUICK and run.values[1] in ONE_EACH]
    for grid in [[pytest.mark.grid] if every and not quick else []]
]
each_run = pytest.mark.parametrize(("setting", "case"), RUNS)
each_run_by_numbering = pytest.mark.parametrize(
    ("setting", "case", "every_numbering"), RUNS_BY_NUMBERING
)
each_run_with_a_ratio = pytest.mark.parametrize(("setting", "case"), RUNS_WITH_A_RATIO)


_LANES: dict[tuple[str, str], Lane] = {}


def shared_lane(setting: Setting, case: Case) -> Lane:
    """The lane just before decode. Tests that share it change nothing in it."""
    key = setting.id, case.id
    if key not in _LANES:
        _LANES[key] = prefilled(setting.model(), case.create(), setting.upload())
    return _LANES[key]


def deepened(sequence: Sequence, answer: int = 0) -> dict[str, object]:
    """The visual rows' states for the first LLM layers, as arguments of stock transformers."""
    if not sequence.deepstack:
        return {}
    rows = torch.zeros(1, len(sequence.embeds) + answer, dtype=torch.bool)
    rows[0, sequence.visual] = True
    return {"visual_pos_masks": rows, "deepstack_visual_embeds": list(sequence.deepstack)}


FAMILIES = (  # a picture or a clip for a tiny model of every family
    *SETTINGS,
    Setting("internvl", tiny_internvl, picture, family="internvl", has_grid=False),
    Setting("smolvlm", tiny_smolvlm, picture, family="smolvlm", has_grid=False),
)
