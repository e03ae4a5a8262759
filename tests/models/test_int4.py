"""`:int4` after a name: linear layers in 4 bits, in our loops as in stock transformers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from models import catalog, memory
from models.checkpoints import int4
from models.engine.pipeline import run_lane
from models.loading import config_of, describe, load
from models.unlisted import adopt
from pruning.methods import create
from tests.models.hub import save_llava, save_onevision
from tests.models.test_exactness import assert_equal
from tests.tiny import clip, picture


@pytest.fixture(autouse=True)
def own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ADOPTED", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("save", "media"),
    [(save_llava, picture()), (partial(save_onevision, tied=False), clip())],
    ids=["llava", "onevision"],
)
def test_vanilla_is_generate_on_a_model_of_4_bits(save, media, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="make test-rest installs requirements-int4.txt")
    save(tmp_path)
    adapter = load(f"{tmp_path}:int4", "cpu", "bfloat16")
    assert_equal(adapter, media)
    assert adapter.conditions["LLM layers"] == "nf4 by bitsandbytes"
    *_, lane = run_lane(adapter, media, "Where?", create("visionzip"), max_new_tokens=2)
    assert lane.new_tokens == 2
    asked = memory.estimate(config_of(adopt(str(tmp_path))), 0, "bfloat16", int4=True)
    layers = [one for one in adapter.model.parameters() if one.dtype == torch.uint8]
    scales = sum(one.numel() for one in layers) * 2 * 4 / 64  # held beside the parameters
    assert asked.weights == sum(one.nbytes for one in adapter.model.parameters()) + scales


def test_int4_without_its_packages_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_llava(tmp_path)
    monkeypatch.setattr(int4, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"\(int4\) needs bitsandbytes and accelerate; install"):
        list(describe(adopt(f"{tmp_path}:int4"), "cpu", "bfloat16"))
    monkeypatch.setattr(int4, "find_spec", lambda name: name)
    (*_, line) = describe(adopt(f"{tmp_path}:int4"), "cpu", "bfloat16")
    assert line.startswith(f"{tmp_path.name} (int4) on ")
