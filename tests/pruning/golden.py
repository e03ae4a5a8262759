"""Stored inputs and outputs of the official functions; see tests/golden/README.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(__file__).parent.parent / "golden"
METHOD = {  # whose outputs they are, where a file is not called as the method is
    "ivc_prune": "ivcprune",
    "nuwa_stage1": "nuwa",
    "nuwa_stage1_qwen": "nuwa",
    "nuwa_stage2": "nuwa",
    "nuwa_stage2_qwen": "nuwa",
    "prumerge_plus": "prumerge-plus",
    "vscan_qwen": "vscan",
}


def over(
    name: str,
    where: Callable[..., bool] = lambda case: True,
    differs: Callable[..., bool] = lambda case: False,
) -> pytest.MarkDecorator:
    """Runs a test over stored outputs of a method's official code: a parity test of that method.

    Args:
        name: of the file.
        where: whether a case has what the test compares.
        differs: whether ours differs there, as the method's docstring says: the test must fail, and
            the case counts as one of those compared.
    """
    marks = [pytest.mark.parity(METHOD.get(name, name))]
    differing = [*marks, pytest.mark.xfail(raises=AssertionError, strict=True)]
    chosen = [
        pytest.param(case, id=case.id, marks=differing if differs(case) else marks)
        for case in cases(name)
        if where(case)
    ]
    return pytest.mark.parametrize("case", chosen)


def cases(name: str) -> Iterator[SimpleNamespace]:
    """Each case with its arrays as tensors and `knobs` as a dict."""
    arrays = np.load(FOLDER / f"{name}.npz", allow_pickle=False)
    for case in sorted({key.split("/")[0] for key in arrays.files if "/" in key}):
        own = [key for key in arrays.files if key.startswith(f"{case}/")]
        fields = {key[len(case) + 1 :].replace("/", "_"): arrays[key] for key in own}
        knobs = json.loads(str(fields.pop("knobs")))
        tensors = {field: torch.from_numpy(array) for field, array in fields.items()}
        yield SimpleNamespace(id=case, knobs=knobs, **tensors)


def stages(case: SimpleNamespace, kind: str = "stage") -> list[dict[str, Tensor]]:
    """The arrays of each stage or decode step, by name."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, array in vars(case).items():
        if name.startswith(kind):
            stage, _, field = name.partition("_")
            found.setdefault(stage, {})[field] = array
    return [found[stage] for stage in sorted(found)]


def assert_as_official(values: Tensor, expected: Tensor) -> None:
    """The bound the arrays were made for: 1e-4 of the largest value."""
    bound = 1e-4 * max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(values, expected, atol=bound, rtol=0)
