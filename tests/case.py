"""A row of the table of all methods, tests/cases.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pruning.base import CompressionMethod
from pruning.methods import create


@dataclass(frozen=True)
class Case:
    """A method with its knobs: an easy case first, then a hard one."""

    id: str
    name: str  # as `create` takes it
    knobs: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    least_frames: int = 1  # of a clip for which the ratio is large enough
    wide: bool = True  # False: on all models but the first in `make test-rest` alone

    def create(self, **overrides: Any) -> CompressionMethod:
        return create(self.name, **{**self.knobs, **overrides})

    @property
    def has_ratio(self) -> bool:
        return hasattr(self.create(), "retention_ratio")

    def takes(self, media: str) -> bool:
        """Whether the method works on an image, or on a video."""
        return media in self.create().media
