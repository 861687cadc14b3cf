"""The working of one number: which one is meant, the message if there is none, and the detection of a wrong one."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.evaluator import GRADIENT
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.working import Working


class Small(nn.Module):
    """Padding in the convolution and in the max pooling, a residual, a part used twice, layer norm and norm pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.batchnorm1 = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.LayerNorm([4, 2, 2])
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.batchnorm1(self.conv1(x)).relu())
        x = x + self.conv2(self.conv2(x))
        return self.head(self.norm(F.lp_pool2d(F.gelu(x), 2.0, 2)).flatten(1))


@pytest.fixture(scope="module")
def trace() -> Trace:
    module = Small().eval()
    torch.manual_seed(1)
    return explain(module, torch.randn(3, 8, 8), 3, optimizer=torch.optim.AdamW(module.parameters(), lr=0.01))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("conv1[1, 2, 3]", "conv1[1, 2, 3]"),
        ("conv1[1,2,3]", "conv1[1, 2, 3]"),
        ("  conv1 [ 1 , 2 ,3 ]  ", "conv1[1, 2, 3]"),
        ("conv1[0, 1, 2, 3]", "conv1[1, 2, 3]"),
        ("head[4]", "head[4]"),
        ("head[0, 4]", "head[4]"),
        ("loss", "loss"),
        ("loss[]", "loss"),
        ("conv1.weight[3, 2, 1, 0]", "conv1.weight[3, 2, 1, 0]"),
        ("batchnorm1.running_mean[2]", "batchnorm1.running_mean[2]"),
        ("conv2@2[0, 0, 0]", "conv2@2[0, 0, 0]"),
        ("input[2, 7, 7]", "input[2, 7, 7]"),
    ],
)
def test_how_a_unit_is_named(trace: Trace, written: str, name: str) -> None:
    assert trace.unit(written).name == name


def test_the_batch_index_means_the_same_number(trace: Trace) -> None:
    assert trace.unit("conv1[0, 1, 2, 3]").recorded == trace.unit("conv1[1, 2, 3]").recorded
    assert trace.unit("conv1[1, 2, 3]").recorded == float(trace.values["conv1"][0, 1, 2, 3])
    assert trace.unit("conv1.weight[0, 1, 2, 0]").recorded == float(trace.values["conv1.weight"][0, 1, 2, 0])


LAYERS = (
    "There are input, conv1, batchnorm1, relu, pool, conv2, conv2@2, add, gelu, lp_pool2d, norm, flatten and 3 more."
)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("conv[1, 2, 3]", f"There is no layer or weight 'conv'. Nearest: conv2, conv1, conv2@2. {LAYERS}"),
        ("Conv1[1, 2, 3]", "There is no layer or weight 'Conv1'. Nearest: conv1"),
        ("zzz", f"There is no layer or weight 'zzz'. {LAYERS}"),
        (
            "conv1",
            "'conv1' is not a unit: conv1 has channels 0 to 3, rows 0 to 7, columns 0 to 7, such as conv1[2, 4, 4].",
        ),
        ("conv1[1, 2]", "'conv1[1, 2]' is not a unit: conv1 has channels 0 to 3"),
        ("conv1[1, 1, 2, 3]", "'conv1[1, 1, 2, 3]' is not a unit"),
        ("conv1[4, 0, 0]", "'conv1[4, 0, 0]' is not a unit: conv1 has channels 0 to 3"),
        ("conv1[-1, 0, 0]", "'conv1[-1, 0, 0]' is not a unit: conv1 has channels 0 to 3"),
        ("head[5]", "'head[5]' is not a unit: head has units 0 to 4, such as head[2]."),
        ("loss[0]", "'loss[0]' is not a unit: loss has a single number and no index, such as loss."),
        (
            "conv1.weight[4, 0, 0, 0]",
            "conv1.weight has 0 to 3, 0 to 2, 0 to 2, 0 to 2, such as conv1.weight[2, 1, 1, 1].",
        ),
        ("conv1[1.5, 0, 0]", "'conv1[1.5, 0, 0]': an index consists of whole numbers, conv1[2, 4, 4]."),
        ("conv1[a, b, c]", "an index consists of whole numbers"),
        ("conv1[1,,2]", "an index consists of whole numbers"),
        ("conv1[1, 2, 3", "'conv1[1, 2, 3' names no unit. Write the layer and its index: conv1[3, 10, 12]."),
        ("[1, 2, 3]", "'[1, 2, 3]' names no unit."),
        ("", "'' names no unit."),
    ],
)
def test_what_is_said_of_a_unit_that_is_not_there(trace: Trace, written: str, message: str) -> None:
    for ask in (trace.unit, trace.gradient):
        with pytest.raises(TraceError) as error:
            ask(written)
        assert message in str(error.value)


def test_updates_are_of_weights_only(trace: Trace) -> None:
    with pytest.raises(TraceError, match=r"no weight 'conv1'. Nearest: conv1.bias, conv1.weight, "):
        trace.update("conv1[1, 2, 3]")
    with pytest.raises(TraceError, match=r"no weight 'batchnorm1.running_mean'"):
        trace.update("batchnorm1.running_mean[0]")
    with pytest.raises(TraceError, match=r"batchnorm1\.running_mean is not a parameter of the module"):
        trace.gradient("batchnorm1.running_mean[0]")
    with pytest.raises(TraceError, match="does not depend on probability"):
        trace.gradient("probability[0]")


def test_what_comes_from_outside_is_its_own_total(trace: Trace) -> None:
    for unit, kind in (
        ("input[0, 0, 0]", "the network's input"),
        ("conv1.weight[0, 0, 0, 0]", "a weight"),
        ("batchnorm1.running_var[1]", "a stored number"),
    ):
        working = trace.unit(unit)
        assert (working.kind, working.parts, working.difference, working.complete) == (kind, (), 0, True)
        assert working.as_json()["total"] == working.recorded != 0
    assert (trace.gradient("loss").total, trace.gradient("loss").difference) == (1, 0)


@pytest.mark.parametrize(
    ("array", "unit", "index"),
    [("conv1", "conv1[1, 2, 3]", (0, 1, 2, 3)), ("loss", "loss", ()), ("pool", "pool[2, 1, 1]", (0, 2, 1, 1))],
)
def test_a_falsified_value_is_found_out(trace: Trace, array: str, unit: str, index: tuple[int, ...]) -> None:
    true = float(trace.values[array][index])
    wrong = trace.values[array].copy()
    wrong[index] += 0.001
    with pytest.raises(TraceError, match="does not add up") as error:
        replace(trace, values={**trace.values, array: wrong}).unit(unit)
    message = str(error.value)
    assert repr(float(wrong[index])) in message
    assert f"{true:.6g}"[:6] in message
    assert "rounding explains" in message


def test_falsified_gradients_and_updates_are_found_out(trace: Trace) -> None:
    wrong = trace.gradients["conv1.weight"] * np.float32(1.01)
    with pytest.raises(TraceError, match=r"gradient of conv1.weight\[0, 0, 0, 0\] does not add up"):
        replace(trace, gradients={**trace.gradients, "conv1.weight": wrong}).gradient("conv1.weight[0, 0, 0, 0]")
    step = trace.updates["conv1.weight"]
    falsified = replace(step, after=step.after + np.float32(1e-3))
    with pytest.raises(TraceError, match=r"update of conv1.weight\[0, 0, 0, 0\] does not add up"):
        replace(trace, updates={"conv1.weight": falsified}).update("conv1.weight[0, 0, 0, 0]")
    infinite = trace.values["conv1"].copy()
    infinite[0, 1, 2, 3] = np.inf
    with pytest.raises(TraceError, match=r"is inf and the terms give .* cannot be added up"):
        replace(trace, values={**trace.values, "conv1": infinite}).unit("conv1[1, 2, 3]")


def everything(trace: Trace) -> Iterator[Working]:
    """The first and the last number of every node and parameter, forward, backward and updated."""
    for name in [*(node.name for node in trace.nodes), *trace.parameters]:
        shape = trace.shape(name)
        for index in {tuple(0 for _ in shape), tuple(size - 1 for size in shape)}:
            unit = f"{name}[{', '.join(map(str, index))}]"
            yield trace.unit(unit)
            if name in trace.gradients:
                yield trace.gradient(unit)
            if name in trace.updates:
                yield trace.update(unit)


def test_json_of_every_layer(trace: Trace) -> None:
    json.dumps(trace.as_json(), allow_nan=False)
    seen = 0
    for working in everything(trace):
        content = json.loads(json.dumps(working.as_json(), allow_nan=False))
        assert content["difference"] == pytest.approx(content["total"] - content["recorded"])
        for part in [*content["parts"], *content["between"]]:
            terms = part["terms"]
            chosen = terms[part["winner"]] if part["pick"] == "max" else sum(terms)
            assert part["total"] == pytest.approx(chosen, rel=1e-12, abs=1e-12)
            for column in part["columns"]:
                assert len(column["values"]) == len(column["indices"]) == len(terms)
        if content["parts"]:
            assert sum(part["total"] for part in content["parts"]) == pytest.approx(
                content["total"], rel=1e-12, abs=1e-12
            )
            seen += 1
    assert seen > 50


def test_json_indices_are_those_that_people_write(trace: Trace) -> None:
    for working in everything(trace):
        for part in working.as_json()["parts"]:
            for column in part["columns"]:
                name = column["name"].removeprefix(GRADIENT)
                if name not in trace.values or working.quantity == "update":
                    continue
                array = trace.gradients[name] if column["name"].startswith(GRADIENT) else trace.values[name]
                for row, (index, value) in enumerate(zip(column["indices"], column["values"], strict=True)):
                    assert len(index) == len(trace.shape(name))
                    if row not in column["padding"]:
                        assert value == float(array[trace.whole_index(name, tuple(index))])


def test_a_window_over_the_edge_marks_its_padding(trace: Trace) -> None:
    (part, _bias) = trace.unit("conv1[2, 0, 0]").as_json()["parts"]
    window, weights = part["columns"]
    assert (window["name"], weights["name"]) == ("input", "conv1.weight")
    assert window["padding"] == [channel * 9 + place for channel in range(3) for place in (0, 1, 2, 3, 6)]
    assert weights["padding"] == []
    assert weights["indices"][13] == [2, 1, 1, 1]
    (pooled,) = trace.unit("pool[2, 0, 0]").as_json()["parts"]
    assert [place for place, term in enumerate(pooled["terms"]) if term is None] == [0, 1, 2, 3, 6]
    assert pooled["terms"][pooled["winner"]] == max(term for term in pooled["terms"] if term is not None)


def test_numbers_between_are_explained_before_they_are_used(trace: Trace) -> None:
    checked = 0
    for working in everything(trace):
        if working.quantity == "update":
            continue
        explained = {(part.of, part.index) for part in working.between}
        of = {part.of for part in working.between}
        known: set[tuple[str, tuple[int, ...]]] = set()
        for part in [*working.between, *working.parts]:
            for column in part.terms.columns:
                if part.names[column.name] in of and len(explained) < 150:
                    checked += 1
                    assert {(column.name, tuple(index)) for index in part.places(column).tolist()} <= known
            known.add((part.of, part.index))
    assert checked > 20


def test_the_gradient_of_what_has_several_users_is_the_sum_over_them(trace: Trace) -> None:
    working = trace.gradient("pool[1, 2, 3]")
    assert {part.through for part in working.parts} == {"add", "conv2"}
    through = {
        name: sum(part.terms.total for part in working.parts if part.through == name) for name in ("add", "conv2")
    }
    assert through["add"] == float(trace.gradients["add"][0, 1, 2, 3])
    assert sum(through.values()) == pytest.approx(float(trace.gradients["pool"][0, 1, 2, 3]), rel=1e-5)
    assert {part.through for part in trace.gradient("conv2.weight[0, 1, 2, 2]").parts} == {"conv2", "conv2@2"}


def test_a_number_that_no_window_looks_at_has_the_gradient_0() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1, stride=2), nn.Flatten(), nn.Linear(4, 2))
    working = explain(module, torch.ones(1, 4, 4)).gradient("input[0, 1, 1]")
    assert (working.parts, working.total, working.recorded, working.complete) == ((), 0, 0, True)


def test_layers_whose_names_are_numbers_are_no_numbers_in_a_formula() -> None:
    module = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 2))
    trace = explain(module, torch.ones(1, 3))
    assert trace.unit("0.1[2]").formula == "max(layer 0.0, 0)"
    assert trace.unit("1[0]").formula == "sum of layer 0.1 * 1.weight + 1.bias"
    assert trace.gradient("1.weight[0, 0]").formula == "gradient of layer 1 * layer 0.1"
    assert trace.unit("1[0]").as_json()["parts"][0]["formula"] == "layer 0.1 * 1.weight"
