"""A replay predicts what its lane decoded, with the attention of stock transformers."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

import pytest
import torch
from torch import Tensor

from models.analysis.blocking import Edges
from models.analysis.cells import EDGES, ROLES, TO_VISUAL
from models.engine.pipeline import Lane
from models.engine.replay import Replay, cloned, continued, log_probability
from models.engine.rerun import run
from pruning.errors import UnsupportedError
from pruning.methods import create
from tests.cases import CASES
from tests.models.runs import FAMILIES, deepened
from tests.tiny import SETTINGS, Setting, prefilled

QUESTION = "Where is the cat?"
METHODS = {case.id: case for case in CASES if not case.id.endswith("-hard")}
EVERY = pytest.mark.parametrize("setting", FAMILIES, ids=lambda setting: setting.id)


def decoded(
    setting: Setting, method: str = "vanilla", kernel: str = "sdpa", **knobs: float
) -> Lane:
    lane = prefilled(
        setting.model(kernel=kernel), create(method, **knobs), setting.upload(), QUESTION
    )
    for _ in lane.decode(5, 0.0, 0, stops=False):
        pass
    return lane


@cache
def lane_of(name: str) -> Lane:
    """A method's lane after decode, on a picture if the method takes one. Tests only read it."""
    method = METHODS[name].create()
    setting = next(s for s in (SETTINGS[0], SETTINGS[2]) if s.runs(method))
    lane = prefilled(setting.model(), method, setting.upload(), QUESTION)
    for _ in lane.decode(5, 0.0, 0, stops=False):
        pass
    return lane


def readings(replay: Replay, **options):
    *layers, predicted = replay.layers(**options)
    return layers, predicted


@pytest.mark.parametrize("name", METHODS)
def test_a_replay_predicts_the_answer_that_its_lane_decoded(name: str) -> None:
    lane = lane_of(name)
    if lane.budget.reads is not None:
        with pytest.raises(UnsupportedError, match="choose another method"):
            Replay.of(lane)
        return
    replay = Replay.of(lane)
    *layers, predicted = replay.layers(gradients=True)
    torch.autograd.grad(log_probability(predicted, replay.answer), [each.probe for each in layers])
    assert predicted.argmax(-1).tolist() == lane.stream.ids
    assert (predicted[0] - lane.state.logits.log_softmax(-1)).abs().max() < 1e-4
    assert run(replay).greedy(frozenset(), 3) == lane.stream.ids[:3]


@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_starts_from_another_equals_a_whole_run(name: str) -> None:
    lane = lane_of(name)
    if lane.budget.reads is not None:
        pytest.skip("its decode steps read other tokens: the test above proves the refusal")
    replay = Replay.of(lane)
    opened = run(replay)
    for source, target in (*TO_VISUAL, ("last", "text")):
        edges = Edges(source, range(3, 6), target)
        whole, part = run(replay, block=edges), run(replay, block=edges, base=opened)
        assert (whole.predicted - part.predicted).abs().max() < 1e-5
    other = replay.answer.flip(0)
    whole, part = run(replay, other, edges), run(replay, other, edges, part)
    assert (whole.predicted - part.predicted).abs().max() < 1e-5


@EVERY
def test_attention_its_gradient_and_the_states_equal_those_of_stock_transformers(
    setting: Setting,
) -> None:
    lane = decoded(setting, kernel="eager")
    replay = Replay.of(lane)
    layers, predicted = readings(replay, gradients=True, among_visual=True)
    score = log_probability(predicted, replay.answer)
    gradients = torch.autograd.grad(score, [layer.probe for layer in layers])

    stock, attentions, inputs = stock_run(lane)
    expected = log_probability(stock, replay.answer)
    expected.backward()
    assert abs(score - expected) < 1e-4
    for layer, gradient, attention, state in zip(
        layers, gradients, attentions, inputs, strict=True
    ):
        rows = layer.rows
        assert (layer.inputs - state[0, rows.visual]).abs().max() < 1e-5
        assert (layer.attention - attention[0, :, rows.watched]).abs().max() < 1e-5
        assert (gradient - attention.grad[0, :, rows.watched]).abs().max() < 1e-5
        mutual = attention[0].mean(0)[rows.visual][:, rows.visual]
        assert (layer.among_visual - mutual).abs().max() < 1e-5


@EVERY
def test_a_blocked_run_equals_a_stock_run_with_the_same_mask(setting: Setting) -> None:
    lane = decoded(setting, kernel="eager")
    replay, window, half = Replay.of(lane), range(2, 5), torch.arange(len(lane.visual)) % 2 == 0
    opened, prompt = run(replay), len(lane.sequence.embeds)
    last = prompt - 1
    roles = {
        "visual": lane.sequence.visual.tolist(),
        "object": lane.sequence.visual[half].tolist(),
        "text": list(range(prompt - lane.sequence.num_after, last)),
        "last": list(range(last, last + len(replay.answer))),
    }
    assert roles.keys() == ROLES.keys()
    for source, target in EDGES:
        closed = torch.zeros(last + len(replay.answer), last + len(replay.answer)).bool()
        for row in roles[source]:
            closed[row, roles[target]] = True
            closed[row, row] = False  # a row still sees itself
        edges = Edges(source, window, target, [half] * 8)
        predicted = run(replay, block=edges, base=opened).predicted
        with added_mask(lane, window, closed):
            expected, *_ = stock_run(lane)
        assert (predicted - expected).abs().max() < 1e-5
        assert (predicted - opened.predicted).abs().max() > 1e-4


def stock_run(lane: Lane) -> tuple[Tensor, tuple[Tensor, ...], list[Tensor]]:
    """Log-probabilities (5, vocabulary) by the stock LLM, and each layer's attention and input."""
    decoder, sequence = lane.adapter.decoder, cloned(lane.sequence)
    inputs: list[Tensor] = []
    # Not `output_hidden_states`: Qwen3-VL adds deepstack rows after those are recorded.
    hooks = [
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
        for layer in decoder.model.layers
    ]
    answer = decoder.embed(torch.tensor(lane.stream.ids[:-1]))
    with torch.enable_grad():
        output = decoder.model(
            inputs_embeds=torch.cat([sequence.embeds, answer])[None].requires_grad_(),
            position_ids=continued(sequence.positions, len(answer)).unsqueeze(-2),
            output_attentions=True,
            use_cache=False,
            **deepened(sequence, len(answer)),
        )
        for attention in output.attentions:
            attention.retain_grad()
        predicted = decoder.head(output.last_hidden_state[0, -5:]).log_softmax(-1)
    for hook in hooks:
        hook.remove()
    return predicted, output.attentions, inputs


@contextmanager
def added_mask(lane: Lane, window: range, closed: torch.Tensor):
    """−∞ on the closed edges of some stock layers."""

    def close(module, args, kwargs):
        mask = kwargs["attention_mask"]
        return args, kwargs | {
            "attention_mask": mask.masked_fill(closed, torch.finfo(mask.dtype).min)
        }

    layers = [lane.adapter.decoder.model.layers[index].self_attn for index in window]
    hooks = [layer.register_forward_pre_hook(close, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
