"""Fixtures that every test may ask for; the tiny models themselves are made in tiny.py."""

from __future__ import annotations

import pytest
import torch

from models.llava import LlavaAdapter
from models.media import Media
from tests.tiny import picture, tiny_llava

torch.set_num_threads(1)  # tiny matrices: a second thread costs more than it does


@pytest.fixture
def adapter() -> LlavaAdapter:
    return tiny_llava()


@pytest.fixture
def media() -> Media:
    return picture()
