"""Fixtures that every test may ask for; the tiny models themselves are made in tiny.py."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

from models.families.llava import LlavaAdapter
from models.uploads.media import Media
from tests.methods_report import MethodsReport, mark
from tests.tiny import picture, tiny_llava

torch.set_num_threads(1)  # tiny matrices: a second thread costs more than it does


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--methods-report",
        type=Path,
        metavar="JSON",
        help="write which laws and parity tests each method passes",
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--methods-report")
    if path and not hasattr(config, "workerinput"):  # xdist: in the controller only
        config.pluginmanager.register(MethodsReport(path))


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark(item)


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """Excludes what earlier files left alive from garbage collection.

    A collection then takes milliseconds; over all modules and pages it takes a second or more.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def adapter() -> LlavaAdapter:
    return tiny_llava()


@pytest.fixture
def media() -> Media:
    return picture()
