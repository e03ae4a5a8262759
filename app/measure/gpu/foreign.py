"""A pretended device: finds device mistakes and counts host waits on a machine without a GPU.

A `Foreign` tensor claims to lie on another device; the CPU computes its numbers. Inside
`foreign_device()` an operation that mixes it with tensors of the host raises, as on CUDA, and a
`Tally` counts every operation that would launch a kernel or make the host wait.

The name of the device is "meta": torch accepts it everywhere and needs no backend for it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

FOREIGN = torch.device("meta")
ROOT = f"{Path(__file__).resolve().parents[3]}/"
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
COPYING = {"copy_", "_to_copy"}
STRICT = {"cat", "stack"}  # refuse a number of the host, which most operations take
WAITING = {  # the host reads a value, or a size that depends on values
    *("_local_scalar_dense", "nonzero", "masked_select", "bincount", "is_nonzero", "equal"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"),
    *("_coalesce", "_sparse_mm"),  # sort sparse indices and read their number
}
ALLOCATING = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
FREE = {
    *("detach", "alias", "lift_fresh", "_unsafe_view", "_reshape_alias"),
    "_sparse_coo_tensor_with_dims_and_tensors",  # holds the given indices and values
}
SYNC = "called a synchronizing CUDA operation"  # the warning of torch
WHOLE = ("linear", "scaled_dot_product_attention")


class MixedDevicesError(RuntimeError):
    """An operation got tensors of two devices; the message has its name and place."""


@dataclass
class Tally:
    """Launches and waits that would have happened on a GPU, by phase."""

    now: str = ""
    launches: Counter[str] = field(default_factory=Counter)  # phase -> operations
    # (phase, operation, "file:line") -> waits
    syncs: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        before, self.now = self.now, name
        yield
        self.now = before

    def wait(self, operation: str) -> None:
        self.syncs[self.now, operation, place()] += 1

    def count_warning(self, message: Any, *_: Any) -> None:
        """Counts a wait that torch reports on CUDA; in place of `warnings.showwarning`."""
        if SYNC in f"{message}":
            self.wait("wait")

    def syncs_of(self, phase: str) -> int:
        return sum(count for (when, *_), count in self.syncs.items() if when == phase)


class Foreign(torch.Tensor):
    """A tensor with its numbers in `held`, on the CPU; its `device` is the foreign one."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> Foreign:
        tensor: Foreign = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=FOREIGN,
        )
        tensor.held = held
        return tensor

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, list):  # torch itself would lose its numbers on "meta"
            index = torch.tensor(index)
        return super().__getitem__(index)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": FOREIGN, **options})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Outside of `foreign_device()`: the same without a count."""
        return _Operations(Tally()).__torch_dispatch__(func, types, args, kwargs)


def move(module: nn.Module) -> None:
    """Moves the weights and buffers of a module to the foreign device, in place."""
    for each in module.modules():
        for name, weight in each._parameters.items():
            if weight is not None and not isinstance(weight, Foreign):
                each._parameters[name] = nn.Parameter(Foreign(weight.data), requires_grad=False)
        for name, buffer in each._buffers.items():
            if buffer is not None and not isinstance(buffer, Foreign):
                each._buffers[name] = Foreign(buffer)


@contextmanager
def foreign_device() -> Iterator[Tally]:
    """Checks and counts the operations inside."""
    tally = Tally()
    with ExitStack() as stack:
        for name in ("tensor", "as_tensor"):
            stack.enter_context(patch.object(torch, name, _maker(getattr(torch, name))))
        for name in WHOLE:
            whole = _whole(getattr(functional, name), tally)
            stack.enter_context(patch.object(functional, name, whole))
        stack.enter_context(_Operations(tally))
        yield tally


def _maker(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.tensor` for the foreign device: on "meta" itself it would lose the data."""

    def make_on(data: Any, *args: Any, device: Any = None, **options: Any) -> Tensor:
        if not _is_foreign(device):
            return make(data, *args, device=device, **options)
        return make(data, *args, **options).to(FOREIGN)

    return make_on


def _whole(run: Callable[..., Tensor], tally: Tally) -> Callable[..., Tensor]:
    """A function that is one kernel on CUDA, and many operations on "meta"."""

    def run_whole(*args: Any, **options: Any) -> Tensor:
        found: list[Tensor] = []
        held = [_held(each, found) for each in args]
        named = {name: _held(each, found) for name, each in options.items()}
        if not any(isinstance(each, Foreign) for each in found):
            return run(*args, **options)
        _check(run.__name__, args, found)
        tally.launches[tally.now] += 1
        with torch._C._DisableTorchDispatch():
            outcome = run(*held, **named)
        return Foreign(outcome)

    return run_whole


def place() -> str:
    """The innermost file and line of the project on the stack, without this file."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(ROOT) and "site-packages" not in name and name != __file__:
            return f"{name.removeprefix(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


class _Operations(TorchDispatchMode):
    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found: list[Tensor] = []
        plain = [_held(each, found) for each in args]
        named = {name: _held(each, found) for name, each in kwargs.items()}
        is_foreign = any(isinstance(each, Foreign) or each.is_sparse for each in found)
        name, launches, changes = _facts_of(func)
        if is_foreign:
            _check(name, args, found)
            self._count_waits(name, args)
        if "device" in named and named["device"] is not None:
            target = _is_foreign(named["device"])
            if name in COPYING and target != is_foreign and found[0].numel():
                self.tally.wait("to the device" if target else "to the host")
            is_foreign, named["device"] = target, torch.device("cpu")
        if is_foreign and isinstance(named.get("generator"), torch.Generator):
            raise MixedDevicesError(f"{name} with a generator of the host at {place()}")
        if is_foreign and launches:
            self.tally.launches[self.tally.now] += 1
        outcome = func(*plain, **named)
        if changes:
            return kwargs.get("out", args[0])
        return _as_foreign(outcome) if is_foreign else outcome

    def _count_waits(self, name: str, args: Any) -> None:
        if name in WAITING and not (name == "_sparse_mm" and args[0].is_coalesced()):
            self.tally.wait(name)
        elif name == "copy_" and isinstance(args[0], Foreign) != isinstance(args[1], Foreign):
            self.tally.wait("to the device" if isinstance(args[0], Foreign) else "to the host")
        elif name in INDEXING:
            for index in args[1]:
                if index is not None and not isinstance(index, Foreign):
                    self.tally.wait("index to the device")
                elif index is not None and index.dtype == torch.bool and not _fills(name, args):
                    self.tally.wait("boolean index")


def _check(name: str, args: Any, found: list[Tensor]) -> None:
    """Raises as CUDA does; it takes numbers, indices and sources of copies from the host."""
    if name in COPYING:
        return
    strangers = [each for each in found if not isinstance(each, Foreign) and not each.is_sparse]
    if name in INDEXING and isinstance(args[0], Foreign):
        strangers = [each for each in args[2:3] if not isinstance(each, Foreign)]
    is_base = name in INDEXING and strangers and strangers[0] is args[0]
    if any(each.dim() for each in strangers) or (strangers and (name in STRICT or is_base)):
        raise MixedDevicesError(f"{name} of two devices at {place()}")


def _fills(name: str, args: Any) -> bool:
    """Whether this is `x[mask] = number`: CUDA fills without counting the mask."""
    return name != "index" and len(args) > 2 and args[2].numel() == 1


@cache
def _facts_of(func: Any) -> tuple[str, bool, bool]:
    """The name of an operation, whether it launches a kernel, whether it changes an argument."""
    name = func.name().split("::")[1].split(".")[0]
    launches = not (func.is_view or name in ALLOCATING | FREE or name == "_local_scalar_dense")
    return name, launches, func._schema.is_mutable


def _is_foreign(device: Any) -> bool:
    return device is not None and torch.device(device).type == FOREIGN.type


def _held(value: Any, found: list[Tensor]) -> Any:
    """The value with the CPU's tensors in place of foreign ones; `found` collects all tensors."""
    if isinstance(value, Tensor):
        found.append(value)
        return value.held if isinstance(value, Foreign) else value
    if isinstance(value, list | tuple):
        return [_held(each, found) for each in value]
    return value


def _as_foreign(value: Any) -> Any:
    """A result as foreign tensors; sparse tensors stay as they are and count as foreign."""
    if isinstance(value, Tensor):
        return value if value.is_sparse else Foreign(value)
    if isinstance(value, list | tuple):
        return type(value)(_as_foreign(each) for each in value)
    return value
