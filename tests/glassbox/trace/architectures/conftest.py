"""The checks for every published network here: every shown number has its arithmetic, and it is the real one.

The reference is a run of the untouched module: forward by hooks, backward by loss.backward(), the update by
optimizer.step(). The factors in a working are looked up again, each in the named array at the named index, put into the
printed formula, and added.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.evaluator import GRADIENT, Column
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.working import Part, Working

COUNT = 60
# the functions that formulas print
PRINTED = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "floor")},
    "max": np.maximum,
    "min": np.minimum,
    "where": np.where,
    "inf": np.inf,
    "erf": lambda x: torch.erf(torch.from_numpy(np.asarray(x, np.float64))).numpy(),
}


def settled(module: nn.Module) -> nn.Module:
    """With batch norm statistics and small weights that differ from the initial ones."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.5, generator=random)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 2, generator=random)  # type: ignore[union-attr]
        for parameter in module.parameters():
            if parameter.ndim == 1 or not parameter.any():
                parameter += torch.randn(parameter.shape, generator=random) * 0.2
    return module


class Plain:
    """A plain run of a copy of the module, including one step of AdamW."""

    def __init__(self, module: nn.Module, sample: Tensor, label: int) -> None:
        module = copy.deepcopy(module)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.05)
        self.outputs: dict[str, Tensor] = {}
        for name, part in module.named_modules():
            part.register_forward_hook(self.keep(name))
        F.cross_entropy(module(sample), torch.tensor([label])).backward()
        parameters = dict(module.named_parameters())
        self.gradients = {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}
        self.gradients |= {name: out.grad for name, out in self.outputs.items() if out.grad is not None}
        self.outputs = {name: out.detach() for name, out in self.outputs.items()}
        optimizer.step()
        self.after = {name: p.detach() for name, p in parameters.items()}

    def keep(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                output.retain_grad()
                self.outputs.setdefault(name, output)

        return hook


class Reader:
    """Reads a working as a person does: every factor from its named array, the formula as printed."""

    def __init__(self, trace: Trace, working: Working) -> None:
        self.trace = trace
        self.between: dict[tuple[str, str, tuple[int, ...]], list[Part]] = {}
        for part in working.between:
            self.between.setdefault((part.through, part.of, tuple(part.index)), []).append(part)
        self.parts = working.parts
        self.known: dict[tuple[str, str, tuple[int, ...]], float] = {}

    def total(self) -> float:
        return sum(self.sum_of(part) for part in self.parts)

    def sum_of(self, part: Part) -> float:
        columns = part.terms.columns
        values = {column.name: self.looked_up(part, column) for column in columns}
        stand_ins = {column.name: f"v{number}" for number, column in enumerate(columns)}
        text = part.terms.formula.written(stand_ins).replace("^", "**")
        printed = part.terms.formula.written(part.names)
        assert re.sub(r"layer (?=[\d.])", "", part.formula) == printed
        results = {f"v{number}": values[column.name] for number, column in enumerate(columns)}
        with np.errstate(all="ignore"):
            terms = np.broadcast_to(np.asarray(eval(text, {}, PRINTED | results), np.float64), len(part.terms))
        if part.terms.pick == "max":
            terms = terms[np.all([column.inside for column in columns], axis=0)]
            return float(terms.max())
        return float(terms.sum())

    def looked_up(self, part: Part, column: Column) -> np.ndarray:
        """The numbers of a column, each from the place printed beside it; 0 in the padding."""
        bare = column.name.removeprefix(GRADIENT)
        backward = column.name.startswith(GRADIENT)
        node = next((node for node in self.trace.nodes if node.name == part.through), None)
        assert node is not None
        op = node.op
        assert op is not None
        if column.name == "won":
            return column.values
        places = part.places(column)
        if bare in op.inputs or bare == OUT:
            name = part.names[column.name].removeprefix(GRADIENT)
            array = (self.trace.gradients if backward else self.trace.values)[name]
            whole = [self.trace.whole_index(name, tuple(place)) for place in places.tolist()]
        elif bare in op.constants:
            array, whole = op.constants[bare], [tuple(place) for place in column.indices.tolist()]
        else:
            return np.array([self.worked_out(part, column, row) for row in range(len(places))])
        inside = zip(whole, column.inside, strict=True)
        return np.array([float(array[index]) if there else 0.0 for index, there in inside])

    def worked_out(self, part: Part, column: Column, row: int) -> float:
        """An intermediate number, whose own sum is printed too (the first 200 of them; others are used as they are)."""
        through, index = part.through, tuple(column.indices[row].tolist())
        name = part.names[column.name]
        keys = [(through, name, index[lead:]) for lead in (0, 1)]  # with and without the batch's axis
        key = next((key for key in keys if key in self.between), None)
        if key is None:
            assert sum(map(len, self.between.values())) >= 200, (through, column.name, index)
            return float(column.values[row])
        if key not in self.known:
            self.known[key] = sum(map(self.sum_of, self.between[key]))
        return self.known[key]


class Network:
    """A module, its trace, and its plain run."""

    def __init__(self, module: nn.Module, sample: Tensor, label: int = 1) -> None:
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.05)
        self.plain = Plain(module, sample, label)
        self.trace = explain(module, sample[0], label, optimizer=optimizer)
        self.random = np.random.default_rng(3)

    def check(self) -> None:
        trace = self.trace
        assert [f"{node.name}: {node.kind}" for node in trace.nodes if not node.written] == []
        layers = [node.name for node in trace.nodes if node.reads]
        same = [name for name in layers if self.same(name)]
        assert len(same) >= len(layers) / 6
        assert set(trace.parameters) == set(self.plain.after)
        for name in self.drawn([*same, *layers]):
            unit, index = self.somewhere(name)
            self.matches(trace.unit(unit), self.plain.outputs if name in same else trace.values, name, index)
        for name in self.drawn([*same, *(name for name in layers if name in trace.gradients), *trace.parameters]):
            unit, index = self.somewhere(name)
            known = name in same or name in trace.parameters
            self.matches(trace.gradient(unit), self.plain.gradients if known else trace.gradients, name, index)
        for name in self.drawn(list(trace.parameters)):
            weight, index = self.somewhere(name)
            working = trace.update(weight)
            assert abs(working.total - float(self.plain.after[name][index])) <= working.bound

    def same(self, name: str) -> bool:
        """Whether a hook sees this layer's array: not one inside a module, nor one changed in place later."""
        output = self.plain.outputs.get(name)
        seen = output is not None and np.array_equal(output.numpy(), self.trace.values[name])
        return seen and name in self.plain.gradients

    def drawn(self, names: list[str]) -> list[str]:
        return [names[number] for number in self.random.integers(len(names), size=COUNT)]

    def somewhere(self, name: str) -> tuple[str, tuple[int, ...]]:
        index = tuple(int(self.random.integers(size)) for size in self.trace.shape(name))
        written = f"{name}[{', '.join(map(str, index))}]" if index else name
        return written, self.trace.whole_index(name, index)

    def matches(self, working: Working, truth: Any, name: str, index: tuple[int, ...]) -> None:
        assert working.complete, working.name
        expected = float(truth[name][index])
        if not np.isfinite(expected):  # a mask
            assert working.total == expected, working.name
            return
        assert abs(working.total - expected) <= working.bound + 1e-30, working.name
        if not working.external:
            again = Reader(self.trace, working).total()
            assert abs(again - working.total) <= 1e-9 * max(working.bound * 2**24, abs(working.total)), working.name


@pytest.fixture
def follow() -> Callable[..., Network]:
    def follow(module: nn.Module, shape: tuple[int, int, int], training: bool = False) -> Network:
        sample = torch.randn(1, *shape, generator=torch.Generator().manual_seed(2))
        return Network(settled(module).train(training), sample)

    return follow


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
