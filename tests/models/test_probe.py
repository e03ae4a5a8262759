"""The probe reads place where there is some, and only there; it looks at what the model uses."""

import pytest
import torch
from torch.nn.functional import one_hot

from models.embedded.training import probe
from models.embedded.training.probe import (
    UPLOADS,
    WIDTHS,
    constant_error,
    places,
    states_of,
    trained,
)
from tests.tiny import clip, picture, tiny_llava, tiny_onevision

GRID = 6


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(probe, "STEPS", 300)


def noise(frames, seed):
    return torch.randn(frames, GRID**2, 16, generator=torch.Generator().manual_seed(seed))


def with_place(states):
    """Row and column among what else the states hold."""
    place = 9.0 * one_hot(places(GRID)).flatten(1)  # (grid², 2 · grid)
    return torch.cat([states, place.expand(len(states), -1, -1)], -1)


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_place_is_read_where_states_carry_it(widths):
    told = probe.read(trained(with_place(noise(30, 0)), widths), with_place(noise(10, 1)))
    assert told["right"] > 0.9 and told["error"] < 0.1


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_nothing_is_read_where_states_carry_no_place(widths):
    told = probe.read(trained(noise(60, 0), widths), noise(30, 1))
    assert abs(told["right"] - 1 / GRID) < 0.05
    assert told["error"] > constant_error(GRID) - 0.1


def test_what_is_right_inside_leaves_out_the_first_and_the_last_row_and_column():
    says_first = torch.nn.Linear(16, 2 * GRID)
    torch.nn.init.zeros_(says_first.weight)
    says_first.bias.data = torch.eye(GRID)[0].repeat(2) * 9
    told = probe.read(says_first, noise(2, 0))
    assert told["right"] == pytest.approx(1 / GRID) and told["right_inside"] == 0
    assert told["error"] == pytest.approx(sum(range(GRID)) / GRID)


@pytest.mark.parametrize("grid", [6, 12, 5])
def test_the_constant_says_the_row_that_is_nearest_to_all(grid):
    errors = [sum(abs(row - said) for row in range(grid)) / grid for said in range(grid)]
    assert constant_error(grid) == min(errors)


@pytest.mark.parametrize(
    ("adapter", "media"), [(tiny_llava, picture), (tiny_onevision, clip)], ids=["image", "video"]
)
def test_the_features_are_what_the_projector_gets(adapter, media):
    adapter, media, seen = adapter(), media(), []
    projector = adapter.model.model.multi_modal_projector
    hook = projector.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        features, _ = states_of(adapter, media).values()
    finally:
        hook.remove()
    assert len(features) == len(media.frames) and torch.equal(features, seen[0])


def test_the_llm_states_are_those_of_stock_transformers_after_half_the_layers():
    adapter, media = tiny_llava(), picture()
    _, rows = states_of(adapter, media).values()
    prompt = adapter.prepare(media, "where?")
    marked = prompt.before.new_full((len(prompt.layout),), adapter.marker("image"))
    ids = torch.cat([prompt.before, marked, prompt.after])
    given = {"input_ids": ids[None], "pixel_values": prompt.pixels}
    stock = adapter.model(**given, output_hidden_states=True)
    half = stock.hidden_states[len(stock.hidden_states) // 2][0]
    assert torch.allclose(rows[0], half[ids == adapter.marker("image")], atol=1e-5)


def test_a_probe_is_never_read_on_an_upload_it_was_trained_on():
    first, second = (
        {media.frames.tobytes() for media in probe.uploads("embedded-image", 10, part)}
        for part in ("train", "test")
    )
    assert len(first) == len(second) == 10 and not first & second
    begins = sorted(probe.FIRST_SEEDS.values())
    assert begins[0] >= 20_000 and begins[1] - begins[0] > max(UPLOADS.values())


def test_the_table_has_a_line_a_probe_and_state(monkeypatch):
    monkeypatch.setattr(probe, "STEPS", 2)
    states = {"features": noise(4, 0), "LLM": with_place(noise(4, 1))}
    rows = [probe.asdict(row) for row in probe.readings(states, states)]
    heads, *lines = probe.table({"rows": rows}).splitlines()
    assert heads.split()[:4] == ["states", "probe", "grid", "error"]
    assert [line.split()[0] for line in lines] == ["features", "features", "LLM", "LLM"]
    assert "6×6" in lines[0] and "1.500" in lines[0] and lines[0].endswith("0.167")
