"""A module's calls: their names, in-place changes as new values, and the reasons for what cannot be traced."""

import logging
import re
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.trace import exporting
from pellucid.glassbox.trace.graph import Graph
from pellucid.glassbox.trace.recording import explain

SHAPE = (1, 3, 8, 8)


class Written(nn.Module):
    """A module whose forward() is `run`."""

    def __init__(self, run: Callable[..., object], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> object:
        return self.run(self, x)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


def capture(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> Graph:
    return exporting.capture(module.eval(), torch.zeros(shape))


def called(graph: Graph) -> list[str]:
    return [call.name for call in graph.calls]


def same(module: nn.Module) -> list[str]:
    """The layers of a run that gives exactly the module's output."""
    torch.manual_seed(0)
    sample = torch.randn(SHAPE)
    with torch.no_grad():
        expected = module.eval()(sample.clone())
    trace = explain(module, sample)
    assert np.array_equal(trace.logits, expected[0].numpy())
    return [node.name for node in trace.nodes]


def dense(inputs: int = 192) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(inputs, 2)


def test_calls_are_named_after_their_modules() -> None:
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    graph = capture(Written(lambda self, x: self.head(self.features(x).flatten(1)), features=features, head=dense(144)))
    assert called(graph) == ["features.0", "features.1", "features.2", "flatten", "head"]
    assert [call.operator for call in graph.calls] == ["conv2d", "batch_norm", "relu", "flatten", "linear"]
    assert graph.output == "head"
    assert graph.parameters[:2] == ("features.0.weight", "features.0.bias")
    assert "features.1.running_mean" in graph.buffers
    assert re.fullmatch(r"test_graph.py:\d+: return self.run\(self, x\)", graph.calls[3].source)


def test_a_module_of_several_operators_names_each() -> None:
    block = Written(lambda self, x: F.relu(self.conv(x) + x), conv=nn.Conv2d(3, 3, 1))
    graph = capture(nn.Sequential(block, nn.Flatten(), dense()))
    assert called(graph) == ["0.conv", "0.add", "0.relu", "1", "2"]


def test_a_module_used_twice_and_a_function_used_twice() -> None:
    module = Written(lambda self, x: self.head(F.relu(self.conv(F.relu(self.conv(x)))).flatten(1)))
    module.conv, module.head = nn.Conv2d(3, 3, 1), dense()
    assert called(capture(module)) == ["conv", "relu", "conv@2", "relu@2", "flatten", "head"]


def test_parts_under_two_names_are_one() -> None:
    shared = nn.Linear(192, 192)
    module = Written(lambda self, x: self.head(self.b(self.a(x.flatten(1)).relu())), a=shared, b=shared, head=dense())
    assert capture(module).parameters == ("a.weight", "a.bias", "head.weight", "head.bias")
    assert same(module)[1:-2] == ["flatten", "a", "relu", "b", "head"]


def test_a_weight_under_two_names_is_one() -> None:
    module = Written(lambda self, x: self.head(self.b(self.a(x.flatten(1)))), a=nn.Linear(192, 192), head=dense())
    module.b = nn.Linear(192, 192)
    module.b.weight = module.a.weight
    assert set(capture(module).parameters) == {"a.weight", "a.bias", "b.bias", "head.weight", "head.bias"}
    trace = explain(module, torch.randn(SHAPE))
    working = trace.gradient("a.weight[3, 5]")
    assert {part.through for part in working.parts} == {"a", "b"}, "the gradient is the sum over both uses"
    assert working.complete


def later(self: Written, x: Tensor) -> Tensor:
    y = x * 2
    before = y + 1
    y.relu_()
    return self.head((before + y).flatten(1))


def chain(self: Written, x: Tensor) -> Tensor:
    return self.head((x * 1).add_(1).mul_(2).clamp_(min=0).flatten(1))


def two_names(self: Written, x: Tensor) -> Tensor:
    y = x * 2
    other = y
    y += 3
    return self.head((other * y).flatten(1))


def of_the_input(self: Written, x: Tensor) -> Tensor:
    x += 1
    return self.head(x.relu_().flatten(1))


def of_one_piece(self: Written, x: Tensor) -> Tensor:
    first, rest = (x * 1).split([1, 2], 1)
    first.add_(5)
    return self.head(torch.cat([first, rest], 1).flatten(1))


@pytest.mark.parametrize(
    ("run", "layers"),
    [
        (later, ["mul", "add", "relu", "add@2", "flatten", "head"]),
        (chain, ["mul", "add", "mul@2", "clamp", "flatten", "head"]),
        (two_names, ["mul", "add", "mul@2", "flatten", "head"]),
        (of_the_input, ["add", "relu", "flatten", "head"]),
    ],
)
def test_a_change_in_place_is_a_new_value(run: Callable[..., Tensor], layers: list[str]) -> None:
    assert same(Written(run, head=dense()))[1:-2] == layers


def test_readers_before_and_after_a_change_in_place_see_different_values() -> None:
    sample = torch.full(SHAPE, -1.0)
    trace = explain(Written(later, head=dense()), sample)
    assert trace.unit("mul[0, 0, 0]").recorded == -2
    assert [float(trace.values[name][0, 0, 0, 0]) for name in ("add", "relu", "add@2")] == [-1, 0, -1]
    assert sample.unique().tolist() == [-1]


def test_changing_one_piece_of_a_split_leaves_the_others() -> None:
    assert same(Written(of_one_piece, head=dense()))[-4:-2] == ["flatten", "head"]


def test_modules_that_change_in_place_after_flatten_and_dropout() -> None:
    inplace = nn.ReLU(inplace=True)
    assert same(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Dropout(), inplace, dense(144)))


def view_changed(self: Written, x: Tensor) -> Tensor:
    y = x * 1
    y.view(1, -1).relu_()
    return self.head(y.flatten(1))


def base_changed(self: Written, x: Tensor) -> Tensor:
    y = x * 1
    flat = y.flatten(1)
    y.relu_()
    return self.head(flat)


def input_changed(self: Written, x: Tensor) -> Tensor:
    x.view(1, -1).relu_()
    return self.head(x.flatten(1))


def item_set(self: Written, x: Tensor) -> Tensor:
    y = x * 1
    y[:, 0] = 0
    return self.head(y.flatten(1))


def piece_changed(self: Written, x: Tensor) -> Tensor:
    y = x * 1
    y.unbind(1)[0].add_(1)
    return self.head(y.flatten(1))


def dropout_changed(self: Written, x: Tensor) -> Tensor:
    y = x * 1
    F.dropout(y, 0.5, False).add_(1)
    return self.head(y.flatten(1))


@pytest.mark.parametrize("run", [view_changed, base_changed, input_changed, item_set, piece_changed, dropout_changed])
def test_a_change_that_another_view_sees_is_seen_there(run: Callable[..., Tensor]) -> None:
    assert same(Written(run, head=dense()))[-3] == "head"


@pytest.mark.filterwarnings("ignore:An output with one or more elements")  # PyTorch's own, of out=
def test_what_is_written_into_another_array_is_read_from_there() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        out = torch.zeros(SHAPE)
        with torch.no_grad():
            torch.add(x, 1, out=out)
        return self.head((out * 2 + x).flatten(1))

    torch.manual_seed(0)
    module, sample = Written(run, head=dense()), torch.randn(SHAPE)
    trace = explain(module, sample)
    assert np.array_equal(trace.values["add"], sample.numpy() + 1)
    assert trace.node("mul").reads == {"input": "add"}
    assert np.array_equal(trace.logits, module(sample)[0].detach().numpy())


@pytest.mark.filterwarnings("ignore:An output with one or more elements")
def test_what_is_written_into_several_arrays_is_read_from_them() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        values, places = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
        torch.max(x.detach(), 1, out=(values, places))
        return self.head((x + values[:, None] * places[:, None]).flatten(1))

    assert same(Written(run, head=dense()))[4:6] == ["max", "max@2"]


def test_pieces_of_chunk_and_split_are_slices() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        a, b, _ = x.chunk(3, 1)
        c, d = x.split([1, 2], -3)
        return self.head(torch.cat([a * b + c, d], 1).flatten(1))

    torch.manual_seed(0)
    module, sample = Written(run, head=dense()), torch.randn(SHAPE)
    trace = explain(module, sample)
    assert np.array_equal(trace.logits, module(sample)[0].detach().numpy())
    slices = [node for node in trace.nodes if node.kind == "slice"]
    assert [node.reads for node in slices] == [{"input": "input"}] * 4
    assert [node.name for node in slices] == ["chunk", "chunk@2", "split_with_sizes", "split_with_sizes@2"]
    last = trace.unit(f"{slices[-1].name}[1, 4, 5]")
    assert last.parts[0].places(last.parts[0].terms.columns[0]).tolist() == [[2, 4, 5]]


def test_what_is_broadcast_and_the_largest_without_their_places() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        pooled, places = F.adaptive_max_pool2d(x, 3, return_indices=True)
        return self.head((pooled + places * 0).flatten(1)) * F.mse_loss(x, self.mean.weight)

    torch.manual_seed(0)
    module = Written(run, head=dense(27), mean=nn.Conv2d(3, 1, 1))
    with warnings.catch_warnings(record=True):  # that input and target differ in size
        trace = explain(module, torch.randn(SHAPE))
    largest = trace.unit("adaptive_max_pool2d[2, 1, 0]").parts[0].terms
    assert (largest.pick, largest.total) == ("max", trace.values["adaptive_max_pool2d"][0, 2, 1, 0])
    assert not trace.node("adaptive_max_pool2d@2").written
    repeated = trace.gradient("mean.weight[0, 1, 0, 0]")
    assert repeated.complete
    assert sum(len(part.terms) for part in repeated.parts) == SHAPE[2] * SHAPE[3]


def test_norm_pooling_is_one_call() -> None:
    function = Written(lambda self, x: self.head(F.lp_pool2d(x, 2, 2).flatten(1)), head=dense(48))
    assert called(capture(function)) == ["lp_pool2d", "flatten", "head"]
    module = nn.Sequential(nn.LPPool2d(2, 2), nn.Flatten(), dense(48))
    graph = capture(module)
    assert called(graph) == ["0", "1", "2"]
    assert graph.calls[0].operator == "lp_pool2d"
    trace = explain(module, torch.randn(SHAPE))
    assert trace.unit("0[1, 2, 3]").kind == "L2-norm pooling"


def test_what_the_output_does_not_depend_on_is_left_out() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        _ = (x * 5).exp()
        return self.head(self.norm(x).flatten(1))

    module = Written(run, norm=nn.BatchNorm2d(3), head=dense())
    assert called(exporting.capture(module.train(), torch.zeros(SHAPE))) == ["norm", "flatten", "head"]
    assert module.training
    assert int(module.norm.num_batches_tracked) == 0


def test_constants_and_buffers() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        return self.head((x * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1) * self.scale).flatten(1))

    module = Written(run, head=dense())
    module.register_buffer("scale", torch.tensor(0.5), persistent=False)
    graph = capture(module)
    assert [value.tolist() for value in graph.constants.values()] == [[1, 2, 3]]
    assert graph.buffers == ("scale",)
    trace = explain(module, torch.ones(SHAPE))
    assert trace.unit("mul@2[2, 0, 0]").total == 1.5
    assert trace.unit("scale").recorded == 0.5


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda self, x: (self.head(x.flatten(1)), x), "returns 2 results"),
        (lambda self, x: None, "returns None"),
        (lambda self, x: self.head(x.flatten(1)) if x.sum() > 0 else x, "data-dependent"),
        (lambda self, x: self.head(torch.from_numpy(x.numpy()).flatten(1)), r"numpy\(\)"),
        (lambda self, x: self.head(x), r"input of 1x3x8x8: .*\[24, 8\] X \[192, 2\]"),
        (lambda self, x: 1 // 0, "division"),
    ],
)
def test_what_cannot_be_followed_says_why(
    run: Callable[..., object], message: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    module = Written(run, head=dense()).train()
    with pytest.raises(TraceError, match=message) as error:
        exporting.capture(module, torch.zeros(SHAPE))
    assert "\n" not in str(error.value)
    assert "<string>" not in str(error.value)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    assert module.training
    assert logging.root.manager.disable == logging.NOTSET


def test_the_line_of_the_module_is_named() -> None:
    def run(self: Written, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return self.head(x.flatten(1))
        return self.head(-x.flatten(1))

    with pytest.raises(TraceError, match=r"test_graph.py:\d+: if x.sum\(\) > 0:\.$"):
        capture(Written(run, head=dense()))


def test_a_number_taken_out_of_an_array_is_refused() -> None:
    module = Written(lambda self, x: self.head(x.flatten(1) * x.sum().item()), head=dense())
    with pytest.raises(TraceError, match=r"item \(test_graph.py:\d+: .*outside of PyTorch"):
        explain(module, torch.ones(SHAPE))
    module = Written(lambda self, x: self.head(torch.fft.fft2(x).abs().flatten(1)), head=dense())
    with pytest.raises(TraceError, match="complex numbers"):
        explain(module, torch.ones(SHAPE))


def test_logging_stays_as_the_caller_had_it() -> None:
    logging.disable(logging.INFO)
    try:
        capture(nn.Sequential(nn.Flatten(), dense()))
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)


def test_several_threads_leave_logging_and_the_terminal_as_they_were() -> None:
    before = sys.stderr, logging.root.manager.disable
    with ThreadPoolExecutor(4) as threads:
        graphs = list(threads.map(lambda _: capture(nn.Sequential(nn.Flatten(), dense())), range(8)))
    assert [[call.name for call in graph.calls] for graph in graphs] == [["0", "1"]] * 8
    assert (sys.stderr, logging.root.manager.disable) == before
