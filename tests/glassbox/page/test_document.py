"""The page's document: every array decodes to the trace's bits, and its description follows from the trace."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.glassbox.arithmetic.expression import Expression, power
from pellucid.glassbox.page.document import Document, arrays, document
from pellucid.glassbox.trace import recording
from pellucid.glassbox.trace.trace import Trace
from pellucid.network import text

NETWORK = text.parse("conv(4, 3) batchnorm relu maxpool(2) residual(conv(4, 3, padding=1) relu) flatten dense")


class Pooled(nn.Module):
    """Whole numbers among the buffers, a large constant (the shares of an average), and an op without a declaration."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3 * 50, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.norm(x), (120, 90))
        x = nn.functional.interpolate(x, (5, 10)).cumprod(2)
        return self.head(x.flatten(1))


def traced(seed: int = 0) -> Trace:
    torch.manual_seed(seed)
    module = NETWORK.module((3, 12, 10), 2).eval()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    module(torch.randn(1, 3, 12, 10)).sum().backward()
    optimizer.step()
    trace = recording.explain(module, torch.randn(3, 12, 10), 1, optimizer=optimizer)
    return Trace(**{**vars(trace), "network": NETWORK, "source": "pictures/cat.jpg", "temperature": 0.5})


@pytest.fixture(scope="module")
def trace() -> Trace:
    return traced()


def test_every_array_is_the_traces(trace: Trace) -> None:
    result = arrays(trace)
    expected = {f"value/{name}": array for name, array in trace.values.items()}
    expected |= {f"gradient/{name}": array for name, array in trace.gradients.items()}
    expected |= {f"after/{name}": step.after for name, step in trace.updates.items()}
    for name, step in trace.updates.items():
        expected |= {f"remembered/{name}/{local}": array for local, array in step.remembered.items()}
    assert result.keys() == expected.keys()
    for name, array in expected.items():
        assert result[name].shape == array.shape
        assert result[name].tobytes() == array.astype(result[name].dtype).tobytes(), name
    assert {str(array.dtype) for array in result.values()} == {"float32", "float64"}


def test_the_document_is_strict_json_and_describes_the_model(trace: Trace) -> None:
    content = document(trace, "cats")
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["version"] == 1
    assert content["made_by"].startswith("pellucid ")
    assert content["model"] == {
        "name": "cats",
        "network": str(NETWORK),
        "input": [3, 12, 10],
        "classes": ["0", "1"],
        "temperature": 0.5,
    }
    assert content["picture"] == "cat.jpg", "where it lies is nobody else's business"
    assert (content["label"], content["predicted"]) == (1, trace.predicted)
    assert content["loss_kind"] == "cross-entropy"
    assert content["loss"] == trace.loss
    assert content["logits"] == trace.logits.tolist()
    assert content["optimizer"] == "AdamW"
    assert content["rounding"] == 8


def test_nodes_have_what_the_trace_and_the_plan_say(trace: Trace) -> None:
    content = document(trace)
    nodes = {node["name"]: node for node in content["nodes"]}
    assert list(nodes) == [node.name for node in trace.nodes]
    conv = nodes["conv1"]
    assert conv["kind"] == "convolution"
    assert conv["shape"] == [4, 10, 8]
    assert conv["batched"]
    assert conv["written"]
    assert conv["reads"] == {"input": "input", "weight": "conv1.weight", "bias": "conv1.bias"}
    assert conv["parameters_formula"] == "3*3*3*4 + 4 = 112"
    assert "= 10" in conv["size_formula"]
    assert nodes["relu1"]["parameters_formula"] == ""
    assert nodes["residual1.body.conv1"]["parameters_formula"] == "3*3*4*4 + 4 = 148"
    assert nodes["residual1"]["size_formula"]
    assert nodes["relu1"]["range"][0] == 0.0
    values = trace.values["conv1"]
    np.testing.assert_allclose(conv["range"], [values.min(), values.mean(dtype=np.float64), values.max()])
    assert conv["gradient_largest"] == np.abs(trace.gradients["conv1"]).max()
    assert nodes["input"]["op"] is None
    assert nodes["input"]["written"]


def test_what_a_node_reads_has_an_array(trace: Trace) -> None:
    content = document(trace)
    for node in content["nodes"]:
        assert {f"value/{source}" for source in node["reads"].values()} <= content["arrays"].keys()
        assert content["arrays"][f"value/{node['name']}"]["shape"][int(node["batched"]) :] == node["shape"]
    for name, step in content["updates"].items():
        assert {step["after"], f"gradient/{name}", f"value/{name}", *step["remembered"].values()} <= content[
            "arrays"
        ].keys()
        assert step["settings"]["learning_rate"] == 0.01
    assert [each["name"] for each in content["parameters"]] == list(trace.parameters)
    assert {"name": "batchnorm1.running_mean", "shape": [4]} in content["buffers"]


def test_ops_carry_their_derivatives(trace: Trace) -> None:
    content = document(trace)
    nodes = {node["name"]: node for node in content["nodes"]}
    products = content["ops"][nodes["conv1"]["op"]]["stages"][0]
    assert products["term"] == ["*", "input", "weight"]
    assert products["derivatives"] == {"input": "weight", "weight": "input"}
    relu = content["ops"][nodes["relu1"]["op"]]["stages"][0]
    assert relu["derivatives"]["input"] == [">", "input", 0]
    assert content["ops"][nodes["maxpool1"]["op"]]["stages"][0]["derivatives"] == {}, "the winner has it"
    steps = {step["op"] for step in content["updates"].values()}
    assert len(steps) == 1, "every weight's step is the same arithmetic, written once"


def test_equal_arrays_are_told_once(trace: Trace) -> None:
    content = document(trace)
    assert content["arrays"]["value/flatten1"] == {
        "shape": list(trace.values["flatten1"].shape),
        "dtype": "float32",
        "same_as": "value/residual1",
    }
    order = list(content["arrays"])
    for name, entry in content["arrays"].items():
        if "same_as" in entry:
            target = entry["same_as"]
            assert order.index(target) < order.index(name), "nothing leads in a circle"
            assert "same_as" not in content["arrays"][target]


def test_a_users_module_has_no_formulas_but_all_its_numbers() -> None:
    torch.manual_seed(1)
    trace = recording.explain(Pooled().eval(), torch.randn(3, 240, 180))
    whole = Document(trace)
    content = whole.content
    json.dumps(content, allow_nan=False)
    assert content["model"]["network"] == ""
    assert all(node["size_formula"] == "" for node in content["nodes"])
    unwritten = [node for node in content["nodes"] if not node["written"]]
    assert [node["op"] for node in unwritten] == [None]
    counted = whole.arrays["value/norm.num_batches_tracked"]
    assert counted.dtype == np.float64
    assert counted == 0
    (number,) = [number for number, op in enumerate(content["ops"]) if op["kind"] == "adaptive average pooling"]
    name = f"constant/{number}/share"
    assert content["ops"][number]["constants"] == {"share": {"array": name}}, "120 * 90 numbers are no JSON"
    np.testing.assert_array_equal(whole.arrays[name], np.full((120, 90), 0.25))
    assert content["arrays"][name] == {"shape": [120, 90], "dtype": "float64"}


class Ranked(nn.Module):
    """An op with more indices than a document should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.sort(1)[0].amax((2, 3)))


def test_a_long_table_of_indices_is_an_array() -> None:
    trace = recording.explain(Ranked(), torch.randn(3, 60, 70), 1)
    whole = Document(trace)
    (number,) = [number for number, op in enumerate(whole.content["ops"]) if op["kind"] == "selection"]
    (stage,) = whole.content["ops"][number]["stages"]
    assert stage["maps"]["input"] == [[{"n": {"array": f"table/{number}/0"}}, 0]]
    table = whole.arrays[f"table/{number}/0"]
    picked = trace.values["input"].reshape(-1)[table.astype(np.int64)]
    np.testing.assert_array_equal(picked, trace.values["sort"].reshape(-1))
    assert len(json.dumps(whole.content, allow_nan=False)) < 20_000


def test_numbers_that_are_not_finite_are_null_in_the_document_and_themselves_in_the_arrays() -> None:
    trace = traced()
    values = dict(trace.values)
    values["relu1"] = np.full_like(values["relu1"], np.nan)
    values["conv1"] = values["conv1"].copy()
    values["conv1"][0, 0, 0, :2] = np.inf, -np.inf
    whole = Document(Trace(**{**vars(trace), "values": values}))
    nodes = {node["name"]: node for node in json.loads(json.dumps(whole.content, allow_nan=False))["nodes"]}
    assert nodes["relu1"]["range"] == [None, None, None]
    assert all(np.isfinite(number) for number in nodes["conv1"]["range"])
    assert np.isnan(whole.arrays["value/relu1"]).all()


def test_an_infinite_setting_leaves_the_op_unwritten() -> None:
    module = nn.Sequential(nn.Hardtanh(0.0, float("inf")), nn.Flatten(), nn.Linear(12, 2))
    trace = recording.explain(module, torch.randn(3, 2, 2))
    content = document(trace)
    json.dumps(content, allow_nan=False)
    (node,) = [node for node in content["nodes"] if node["name"] == "0"]
    assert (node["op"], node["written"]) == (None, False)


def test_the_documents_formulas_are_those_of_the_expressions() -> None:
    def read(tree: object) -> Expression:
        match tree:
            case str():
                return Expression("name", leaf=tree)
            case int() | float():
                return Expression("number", leaf=tree)
            case ["power", base, exponent]:
                return power(read(base), exponent)
            case [head, *arguments]:
                return Expression(head, tuple(map(read, arguments)))
        raise AssertionError(tree)

    trace = traced()
    content = document(trace)
    for node, described in zip(trace.nodes, content["nodes"], strict=True):
        if node.op is None:
            continue
        for stage, written in zip(node.op.stages, content["ops"][described["op"]]["stages"], strict=True):
            assert read(written["term"]) == stage.term
            for name, slope in written["derivatives"].items():
                assert read(slope) == stage.term.derivative(name)
