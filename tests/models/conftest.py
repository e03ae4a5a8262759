"""What the tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.engine import guide


@pytest.fixture(autouse=True, scope="session")
def short_answers_of_guides() -> Iterator[None]:
    """Random weights never end an answer: 4 steps prove what 64 do, in a fifth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide, "LONGEST", 4)
        yield
