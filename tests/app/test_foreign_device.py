"""Every method on every family on a pretended device: no operation mixes it with the host."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import lru_cache

import pytest
import torch
from torch import nn

from app.__main__ import main
from app.measure.gpu.foreign import FOREIGN, SYNC, MixedDevicesError, foreign_device, move
from app.measure.gpu.launches import PHASES, Watch, abroad, counted, profiled, steps
from models.engine import guide
from models.engine.base import Adapter
from models.engine.pipeline import Lane
from models.families.llava import LlavaAdapter
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create
from tests.cases import CASES
from tests.tiny import SETTINGS, Setting, picture, prefilled, tiny_llava

WAITS = {"flashvid": 1, "visionzip": 1, "holov": 0, "nuwa": 1, "fastervlm": 0}  # of a clip
RELEASED = 48  # operations of Nüwa's release on a picture


def presets() -> Iterator[tuple[str, CompressionMethod]]:
    """Every method with every preset, then composed methods."""
    for method in METHODS:
        for preset in method.PRESETS:
            name = f"{method.name}:{preset}"
            has_ratio = hasattr(create(name), "retention_ratio")
            options = {"retention_ratio": 0.6} if has_ratio else {}
            yield name, create(name, **options)
    for case in CASES:
        if case.id.startswith("composed"):
            yield case.id, case.create()


def signals(method: CompressionMethod) -> set[object]:
    """What a model computes for a method, and where the method acts."""
    needs = method.needs
    places = [place for place in ("before", "inner", "decode") if method.acts(place)]
    shares = needs.encoder_span, needs.encoder_received
    llm = *needs.llm, needs.llm_queries, needs.llm_rope
    return {*needs.encoder, *needs.request, *shares, *llm, method.seam, *places}


def lanes() -> Iterator[object]:
    """Every preset on one model; on each further one, as many as it takes to ask every signal.

    The others have the mark `grid`: their arithmetic is the same there.
    """
    for setting in SETTINGS:
        asked: set[object] = set()
        for name, method in presets():
            if setting.runs(method):
                quick = setting.id == ("llava" if "image" in method.media else "clip")
                new = not signals(method) <= asked
                if quick or new:
                    asked |= signals(method)
                marks = [] if quick or new else [pytest.mark.grid]
                yield pytest.param(setting, method, id=f"{setting.id}-{name}", marks=marks)


@lru_cache
def on_foreign(model: object) -> Adapter:
    return abroad(model())


@pytest.fixture(autouse=True)
def short_guidance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guide's answer of two tokens runs the same operations as one of 64."""
    monkeypatch.setattr(guide, "LONGEST", 2)


@pytest.mark.parametrize(("setting", "method"), lanes())
def test_a_lane_never_mixes_devices(setting: Setting, method: CompressionMethod) -> None:
    """Up to the first token: decode is the same for every method."""
    tally = counted(on_foreign(setting.model), setting.upload(), method, 0)
    assert tally.launches["prefill"] > tally.syncs_of("prefill")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
@pytest.mark.parametrize("name", ["vanilla", "fastv"])
def test_decode_waits_once_a_token(setting: Setting, name: str) -> None:
    tally = counted(on_foreign(setting.model), setting.upload(), create(name), 3)
    assert tally.syncs_of("decode") == 3  # the ids, for the text


@pytest.mark.parametrize("name", WAITS)
def test_compression_waits_for_no_count_that_the_host_knows(name: str) -> None:
    (clip,) = (one for one in SETTINGS if one.id == "clip")
    method = create(name, retention_ratio=0.4)
    tally = counted(on_foreign(clip.model), clip.upload(), method, 0)
    assert tally.syncs_of("compress") <= WAITS[name]
    assert tally.syncs_of("prefill") == 0


def test_nuwa_runs_no_more_operations_than_its_release() -> None:
    tally = counted(on_foreign(tiny_llava), picture(), create("nuwa", retention_ratio=0.4), 0)
    assert tally.launches["compress"] <= RELEASED


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.id)
def test_the_foreign_device_computes_what_the_cpu_does(setting: Setting) -> None:
    expected = prefilled(setting.model(), create("vanilla"), setting.upload()).state.logits
    with foreign_device() as tally:
        lane = Lane(on_foreign(setting.model), setting.upload(), "What is this?", create("vanilla"))
        lane.watch = Watch(tally.phase)
        steps(lane, 0)
        logits = lane.state.logits
        assert logits.device == FOREIGN
        assert torch.allclose(logits.cpu(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: torch.searchsorted(here, there),
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here[there],
        lambda here, there: torch.stack([here[0], there[0]]),
        lambda here, there: nn.functional.linear(here.float(), there.float()[None]),
        lambda here, there: torch.randperm(3, generator=torch.Generator(), device=FOREIGN),
    ],
)
def test_what_cuda_refuses_to_mix_raises_with_its_place(mix: object) -> None:
    with (
        foreign_device(),
        pytest.raises(MixedDevicesError, match=r"at tests/app/test_foreign.*:\d+"),
    ):
        here = torch.arange(3)
        mix(here, here.to(FOREIGN))


def test_what_cuda_takes_from_the_host_is_not_refused() -> None:
    with foreign_device():
        there = torch.arange(4, device=FOREIGN)
        assert (there + torch.tensor(1)).tolist() == [1, 2, 3, 4]
        assert there[torch.tensor([2, 0])].tolist() == there[[2, 0]].tolist() == [2, 0]
        there[1:] = torch.zeros(3, dtype=torch.int64)
        assert there.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("wait", "times"),
    [
        (lambda x: x + 1, 0),
        (lambda x: torch.tensor([], device=x.device), 0),
        (lambda x: x.masked_fill(x > 1, 0), 0),
        (lambda x: int(x.max()), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: bool((x > 1).any()), 1),
        (lambda x: x[x > 1], 1),
        (lambda x: (x > 1).nonzero(), 1),
        (lambda x: x[[0, 1]], 1),
        (lambda x: torch.tensor([1], device=x.device), 1),
        (lambda x: x.new_tensor([1]), 1),
        (lambda x: [int(each) for each in x], 4),
    ],
)
def test_each_wait_of_the_host_is_counted_with_its_place(wait: object, times: int) -> None:
    with foreign_device() as tally:
        there = torch.ones(4, device=FOREIGN)
        wait(there)
    assert sum(tally.syncs.values()) == times
    assert all(place.startswith("tests/app/test_foreign") for *_, place in tally.syncs)


def test_views_launch_nothing_and_a_matrix_product_one_kernel() -> None:
    layer = nn.Linear(4, 4)
    move(layer)
    with foreign_device() as tally, torch.no_grad():
        x = torch.empty(2, 4, device=FOREIGN)
        x.view(4, 2).T[1:]
        assert not tally.launches.total()
        layer(x)
    assert tally.launches.total() == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_on_cuda_the_waits_that_torch_reports_are_counted(monkeypatch) -> None:
    """The profiler itself runs; the functions that need CUDA do nothing."""
    for name in ("synchronize", "set_sync_debug_mode"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    project = LlavaAdapter.project

    def project_and_wait(adapter: LlavaAdapter, features: torch.Tensor) -> torch.Tensor:
        warnings.warn(SYNC, stacklevel=2)
        return project(adapter, features)

    monkeypatch.setattr(LlavaAdapter, "project", project_and_wait)
    tally = profiled(tiny_llava(), picture(), create("fastv", retention_ratio=0.5), 2)
    ((phase, _, place), times), *rest = tally.syncs.items()
    assert (phase, times, rest) == ("prefill", 1, [])
    assert place.startswith("tests/app/test_foreign_device.py:")
    assert set(tally.launches) >= set(PHASES)


def test_the_command_prints_launches_and_waits_of_each_method_by_phase(capsys) -> None:
    asked = ["--model", "embedded-image", "--methods", "vanilla,fastv", "--places"]
    assert main(["launches", *asked]) == 0
    printed = capsys.readouterr().out
    assert all(phase in printed.splitlines()[0] for phase in PHASES)
    assert "counted on the CPU" in printed
    assert "models/engine/decode.py" in printed
    rows = [line.split()[0] for line in printed.splitlines() if " / " in line]
    assert rows[:2] == ["vanilla", "fastv"]


def test_launches_of_one_token_are_refused(capsys) -> None:
    assert main(["launches", "--new-tokens", "1"]) == 2
    assert "wanted at least 2" in capsys.readouterr().err
