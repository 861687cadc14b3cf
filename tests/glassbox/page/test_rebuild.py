"""Whole arrays from their declarations: close to PyTorch's, and the difference restores the bits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from pellucid.glassbox.arithmetic import strided
from pellucid.glassbox.arithmetic.declaration import OUT, at
from pellucid.glassbox.page import rebuild
from pellucid.glassbox.trace import recording
from pellucid.glassbox.trace.trace import Trace
from pellucid.network import text

WAYS = (
    "conv(3, 3) relu maxpool(3, stride=2, padding=1) batchnorm avgpool(2) "
    "residual(conv(3, 1) | conv(3, 1)) l2pool(2) flatten dense(6) hardswish dropout dense"
)


@pytest.fixture(scope="module")
def trace() -> Trace:
    torch.manual_seed(0)
    module = text.parse(WAYS).module((3, 17, 15), 3).eval()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    return recording.explain(module, torch.randn(3, 17, 15), optimizer=optimizer)


def test_values_gradients_and_updates_differ_by_rounding_alone(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "TERMS", 10_000)
    values = {
        node.name: rebuild.value(node.op, {local: trace.values[source] for local, source in node.reads.items()})
        for node in trace.nodes
        if node.op is not None
    }
    assert {"conv1", "relu1", "maxpool1", "batchnorm1", "avgpool1", "residual1", "dense1"} <= {
        name for name, result in values.items() if result is not None
    }
    gradients = {name: rebuild.gradient(trace, name) for name in trace.gradients}
    known = {name for name, result in gradients.items() if result is not None}
    assert {"conv1", "conv1.weight", "conv1.bias", "relu1", "maxpool1", "batchnorm1", "input", "dense1.weight"} <= known
    updates = {name: rebuild.update(step, trace.gradients[name]) for name, step in trace.updates.items()}
    assert all(result is not None for result in updates.values())
    after = {name: step.after for name, step in trace.updates.items()}
    for result, recorded in ((values, trace.values), (gradients, trace.gradients), (updates, after)):
        for name, rebuilt in result.items():
            if rebuilt is not None:
                scale = np.abs(recorded[name]).max() if recorded[name].size else 0
                np.testing.assert_allclose(rebuilt, recorded[name], rtol=1e-5, atol=1e-6 * scale, err_msg=name)
                if recorded[name].dtype == np.float32:
                    stored = rebuild.difference(recorded[name], rebuilt)
                    assert rebuild.restored(stored, rebuilt).tobytes() == recorded[name].tobytes()


def test_what_only_picks_numbers_is_exact(trace: Trace) -> None:
    for name in ("relu1", "maxpool1"):
        node = trace.node(name)
        assert node.op is not None
        rebuilt = rebuild.value(node.op, {local: trace.values[source] for local, source in node.reads.items()})
        np.testing.assert_array_equal(rebuilt, trace.values[name])
    np.testing.assert_array_equal(rebuild.gradient(trace, "conv1"), trace.gradients["conv1"])


def test_the_first_of_equal_candidates_has_the_gradient() -> None:
    module = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2))
    trace = recording.explain(module, torch.ones(1, 2, 2), 0)
    result = rebuild.gradient(trace, "input")
    assert result is not None
    assert result[0, 0, 0, 0] != 0
    assert (result[0, 0].ravel()[1:] == 0).all()
    np.testing.assert_array_equal(result, trace.gradients["input"])


@pytest.mark.parametrize("limit", ["LIMIT_STRIDED", "TERMS_STRIDED", "ROUNDS"])
def test_what_costs_more_than_it_saves_is_not_rebuilt(
    limit: str, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = trace.node("conv1")  # 28 terms for each number
    assert node.op is not None
    inputs = {local: trace.values[source] for local, source in node.reads.items()}
    assert rebuild.value(node.op, inputs) is not None
    monkeypatch.setattr(rebuild, limit, 26)
    assert rebuild.value(node.op, inputs) is None


def test_a_sum_of_nothing_is_zero() -> None:
    place = strided.frame(at("o"), (3,), {"o": 3, "i": 0})
    read = strided.frame(at("i"), (0,), {"o": 3, "i": 0})
    assert place is not None
    assert read is not None
    result = strided.added({"o": 3, "i": 0}, place, {"input": (read, np.zeros(0))}, lambda values: values["input"])
    assert result.tolist() == [0, 0, 0]


OTHER_WAYS = (
    "conv(4, 3x2, stride=2x1, padding=2, dilation=1x2, groups=1) conv(8, 3, padding=same, groups=4) batchnorm relu6 "
    "conv(8, 5, stride=2, padding=same, groups=8, bias=false) residual(conv(8, 3, stride=1, padding=1) silu) "
    "avgpool(3, stride=1, padding=1) globalavgpool dense(5) dense"
)


@pytest.mark.parametrize("written", [WAYS, OTHER_WAYS])
def test_steps_add_up_what_lists_of_indices_add_up(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage, forward and backward, for any strides, paddings, dilations and groups."""
    torch.manual_seed(1)
    trace = recording.explain(text.parse(written).module((3, 17, 15), 3).eval(), torch.randn(3, 17, 15))
    for small in (False, True):
        if small:
            monkeypatch.setattr(strided, "BLOCK", 7)
        compared = 0
        for node in trace.nodes:
            if node.op is None or any(stage.out != OUT or stage.pick != "sum" for stage in node.op.stages):
                continue
            arrays = {local: trace.values[source] for local, source in node.reads.items()} | dict(node.op.constants)
            arriving = trace.gradients.get(node.name)
            for stage in node.op.stages:
                ways = [lambda s=stage, op=node.op, a=arrays: rebuild._run(s, op, a)]
                if arriving is not None:
                    ways += [
                        lambda s=stage, op=node.op, a=arrays, n=name, g=arriving: rebuild._run_back(s, op, n, a, g)
                        for name in stage.reads()
                    ]
                for way in ways:
                    by_steps = way()
                    with monkeypatch.context() as patch:
                        patch.setattr(rebuild, "_frames", lambda *_: None)
                        by_lists = way()
                    np.testing.assert_allclose(by_steps, by_lists, rtol=1e-12, atol=1e-13, err_msg=node.name)
                    compared += 1
        assert compared > 20


def test_functions_that_differ_between_machines_are_not_rebuilt() -> None:
    trace = recording.explain(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Tanh()), torch.randn(1, 2, 2))
    node = trace.node("2")
    assert node.op is not None
    assert rebuild.value(node.op, {"input": trace.values["1"]}) is None
    assert rebuild.gradient(trace, "1") is None


@given(
    arrays.arrays(np.uint32, 20, elements=st.integers(0, 2**32 - 1)),
    arrays.arrays(np.uint32, 20, elements=st.integers(0, 2**32 - 1)),
)
def test_any_bits_are_restored(recorded: np.ndarray, rebuilt: np.ndarray) -> None:
    stored = rebuild.difference(recorded.view(np.float32), rebuilt.view(np.float32))
    assert rebuild.restored(stored, rebuilt.view(np.float32)).tobytes() == recorded.tobytes()


def test_small_differences_are_small_numbers() -> None:
    rebuilt = np.array([1, 1, 1, 1], np.float32)
    recorded = (rebuilt.view(np.int32) + np.array([0, -1, 1, -2], np.int32)).view(np.float32)
    assert rebuild.difference(recorded, rebuilt).tolist() == [0, 1, 2, 3]
