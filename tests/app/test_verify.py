"""`verify`: a model's answers against those of stock transformers, and a report to send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from app.__main__ import main
from app.measure import verify
from pruning.methods import METHODS
from tests.models import hub_cache
from tests.tiny import tiny_llava, tiny_onevision

ARGUMENTS = ["verify", "llava-onevision-0.5b", "--frames", "4", "--json"]
FEW = ("vanilla", "visionzip", "nuwa", "fastvid")


@pytest.fixture
def few_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "METHODS", [one for one in METHODS if one.name in FEW])


def test_a_model_that_answers_like_stock_transformers_is_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(verify, "load_card", lambda *_: tiny_onevision())
    hub_cache.give_cache(tmp_path, monkeypatch)
    monkeypatch.setattr("models.loading.describe", lambda *_: ["a line"])
    asked = ["--methods", ",".join(FEW)]
    assert main([*ARGUMENTS, str(tmp_path / "report.json"), *asked]) == 0
    said = capsys.readouterr().out
    assert "16 of 16" in said and "green: every answer agrees" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["upload"] for one in report["answers"]] == list(verify.UPLOADS)
    assert {one["logit_difference"] for one in report["answers"]} == {0.0}
    lanes = {(one["method"], one["kind"]): one for one in report["lanes"]}
    assert lanes["vanilla", "video"]["measured_ratio"] == 1 and report["ok"]
    assert {name for name, _ in lanes} == set(FEW)
    assert 0.1 < lanes["fastvid", "video"]["measured_ratio"] < 1
    assert lanes["nuwa", "image"]["refused"], "crops have no grid, which is no failure"


def test_other_logits_or_a_failed_method_are_red(few_methods: None, monkeypatch) -> None:
    adapter = tiny_llava()
    media = next(verify.read(1))[1]
    assert verify.compare(adapter, media)["agrees"]
    stock = verify.step
    monkeypatch.setattr(verify, "step", lambda *asked: (row + 1 for row in stock(*asked)))
    assert not verify.compare(adapter, media)["agrees"]

    class Broken(METHODS[0]):  # type: ignore[misc, valid-type]
        name = "broken"

        def compress(self, *asked):
            raise RuntimeError("no kernel")

    assert verify.run(adapter, media, Broken)["failed"] == "RuntimeError: no kernel"
    assert torch.is_grad_enabled()
