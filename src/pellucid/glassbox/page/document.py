"""A trace as a versioned document for the page: everything except the arrays as JSON, and the arrays by name.

Names of arrays: `value/conv1` (of a node, parameter or buffer), `gradient/conv1`, `after/conv1.weight` (its value after
a step of the optimizer), `remembered/conv1.weight/mean` (the optimizer's state of it), `used/conv1.weight` (the
gradient that the step used, if a hook has changed it), `constant/3/share` (a large constant of op 3), `table/3/0` (its
first long table of indices).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import __version__
from pellucid.files import finite
from pellucid.glassbox.arithmetic.declaration import Op, Table
from pellucid.glassbox.trace import ungraded, working
from pellucid.glassbox.trace.naming import INPUT
from pellucid.network.plan import Row, plan

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Node, Trace

VERSION = 1
LONGEST_CONSTANT = 10_000
"""An op's constant with at most this many numbers is in the document; a larger one is an array."""


class Document:
    """A trace with numbered ops and named arrays, each collected once. `name` is the model's name."""

    def __init__(self, trace: Trace, name: str = "") -> None:
        self.name = name
        self._ops: list[Op] = []
        self._numbers: dict[str, int] = {}
        self._of_nodes = {node.name: self._number(node.op) for node in trace.nodes}
        self._of_updates = {name: self._number(step.op) for name, step in trace.updates.items()}
        # the page must not rely on an op that it cannot be sent
        nodes = (node if self._of_nodes[node.name] is not None else replace(node, op=None) for node in trace.nodes)
        self.trace = replace(trace, nodes=tuple(nodes))

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Every array by name, float32 or float64, C order. An array that follows from others comes after them.

        Whole numbers become float64, which holds them exactly.
        """
        constants = {
            f"constant/{number}/{name}": array
            for number, op in enumerate(self._ops)
            for name, array in op.constants.items()
            if array.size > LONGEST_CONSTANT
        }
        tables = {self._tables[id(table)]: table.places for op in self._ops for table in _long_tables(op)}
        named = (*constants.items(), *tables.items(), *_named_arrays(self.trace))
        return {name: _plain(array) for name, array in named}

    @cached_property
    def same(self) -> Mapping[str, str]:
        """Arrays that equal an earlier one, bit for bit: flattening changes nothing but the shape."""
        first: dict[str, str] = {}
        shared = {}
        for name, digest in self.digests.items():
            if self.arrays[name].size and first.setdefault(digest, name) != name:
                shared[name] = first[digest]
        return shared

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """A digest for each array by name; equal if two have the same dtype, count of numbers, and bits."""
        return {name: f"{array.dtype} {array.size} {_digest(array).hex()}" for name, array in self.arrays.items()}

    @cached_property
    def content(self) -> dict[str, Any]:
        """The document: JSON types, without NaN and infinity (null stands for them)."""
        trace = self.trace
        network, rows = trace.network, _rows(trace)
        buffers = [name for name in trace.values if name not in trace.parameters and name not in self._of_nodes]
        return {
            "version": VERSION,
            "made_by": f"pellucid {__version__}",
            "model": {
                "name": self.name,
                "network": str(network) if network is not None else "",
                "input": list(trace.shape(trace.roles[INPUT])),
                "classes": list(trace.classes),
                "temperature": trace.temperature,
            },
            "picture": PurePath(trace.source).name,
            "picture_size": list(trace.size) if trace.size is not None else None,
            "label": trace.label,
            "predicted": trace.predicted,
            "several": trace.thresholds is not None,
            "against": [trace.label] if trace.labels is None else list(trace.labels),
            "called": list(trace.predictions),
            "truth": None if trace.truth is None else list(trace.truth),
            "roles": dict(trace.roles),
            "hooked": dict(trace.hooked),
            "no_gradient": {name: ungraded.reason(trace, name) for name in self._without_gradient()},
            "loss_kind": trace.nodes[-1].kind,
            "loss": finite(trace.loss),
            "logits": [finite(float(number)) for number in trace.logits],
            "probabilities": [finite(float(number)) for number in trace.probabilities],
            "nodes": [self._node(node, rows.get(node.name)) for node in trace.nodes],
            "ops": [self._op(number, op) for number, op in enumerate(self._ops)],
            "parameters": [self._stored(name) for name in trace.parameters],
            "buffers": [self._stored(name) for name in buffers],
            "optimizer": next((step.optimizer for step in trace.updates.values()), ""),
            "updates": {name: self._update(name) for name in trace.updates},
            "rounding": working.ROUNDING,
            "agreement": asdict(trace.agreement) if trace.agreement is not None else None,
            "precision": {name: list(limits) for name, limits in trace.precision.items()},
            "arrays": {name: self._entry(name, array) for name, array in self.arrays.items()},
        }

    @cached_property
    def _tables(self) -> Mapping[int, str]:
        """The name of each long table's array, by the table's id."""
        return {
            id(table): f"table/{number}/{place}"
            for number, op in enumerate(self._ops)
            for place, table in enumerate(_long_tables(op))
        }

    def _number(self, op: Op | None) -> int | None:
        """The op's place in "ops", where equal ops are stored once; None if it cannot be written as JSON."""
        if op is None:
            return None
        try:
            hashed = op.as_json(
                lambda table: _digest(table.places).hex(), lambda name: _digest(op.constants[name]).hex()
            )
            text = json.dumps(hashed, allow_nan=False)
        except ValueError:  # an infinite setting
            return None
        if text not in self._numbers:
            self._numbers[text] = len(self._ops)
            self._ops.append(op)
        return self._numbers[text]

    def _node(self, node: Node, row: Row | None) -> dict[str, Any]:
        trace, number = self.trace, self._of_nodes[node.name]
        gradient = trace.gradients.get(node.name)
        formula = row.parameters_formula if row is not None else "0"
        return {
            "name": node.name,
            "kind": node.kind,
            "shape": list(trace.shape(node.name)),
            "batched": trace.batched(node.name),
            "reads": dict(node.reads),
            "op": number,
            "written": number is not None or not node.reads,
            "hooked": node.hooked,
            "size_formula": row.output_formula if row is not None else "",
            "parameters_formula": formula if formula != "0" else "",
            "range": _range(trace.values[node.name]),
            "gradient_largest": _largest(gradient) if gradient is not None else None,
            "source": node.source,
        }

    def _op(self, number: int, op: Op) -> dict[str, Any]:
        def listed(table: Table) -> Any:
            return {"array": self._tables[id(table)]} if id(table) in self._tables else table.as_json()

        def constant(name: str) -> Any:
            array = op.constants[name]
            return {"array": f"constant/{number}/{name}"} if array.size > LONGEST_CONSTANT else array.tolist()

        return op.as_json(listed, constant)

    def _without_gradient(self) -> Iterator[str]:
        """Names that the page may request a gradient of, but that have none."""
        names = (*(node.name for node in self.trace.nodes), *self.trace.parameters)
        return (name for name in names if name not in self.trace.gradients)

    def _stored(self, name: str) -> dict[str, Any]:
        return {"name": name, "shape": list(self.trace.values[name].shape)}

    def _update(self, name: str) -> dict[str, Any]:
        step = self.trace.updates[name]
        return {
            "op": self._of_updates[name],
            "gradient": f"used/{name}" if step.gradient is not None else f"gradient/{name}",
            "hooked": step.hooked,
            "unwritten": step.unwritten,
            "remembered": {local: f"remembered/{name}/{local}" for local in step.remembered},
            "after": f"after/{name}",
            "settings": {key: _setting(value) for key, value in step.settings.items()},
        }

    def _entry(self, name: str, array: NDArray[Any]) -> dict[str, Any]:
        same = {"same_as": self.same[name]} if name in self.same else {}
        return {"shape": list(array.shape), "dtype": str(array.dtype), **same}


def document(trace: Trace, name: str = "") -> dict[str, Any]:
    """The document alone. `name`: the model's name."""
    return Document(trace, name).content


def arrays(trace: Trace) -> Mapping[str, NDArray[Any]]:
    """The arrays alone, by name."""
    return Document(trace).arrays


def _named_arrays(trace: Trace) -> Iterator[tuple[str, NDArray[Any]]]:
    """In the order of their computation: forward, backward, update."""
    nodes = [node.name for node in trace.nodes]
    inputs = [name for name in trace.values if name not in nodes]
    yield from ((f"value/{name}", trace.values[name]) for name in (*inputs, *nodes))
    backward = [*reversed(nodes), *(name for name in trace.gradients if name not in nodes)]
    yield from ((f"gradient/{name}", trace.gradients[name]) for name in backward if name in trace.gradients)
    for name, step in trace.updates.items():
        if step.gradient is not None:
            yield f"used/{name}", step.gradient
        yield from ((f"remembered/{name}/{local}", array) for local, array in step.remembered.items())
    yield from ((f"after/{name}", step.after) for name, step in trace.updates.items())


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    precise = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    return np.ascontiguousarray(precise).reshape(array.shape)


def _digest(array: NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()


def _long_tables(op: Op) -> Iterator[Table]:
    """Tables of indices that are too long for the document, each once."""
    axes = (axis for stage in op.stages for each in stage.maps.values() for axis in each)
    tables = {id(step): step for axis in axes for _, step in axis.steps if isinstance(step, Table)}
    yield from (table for table in tables.values() if table.places.size > LONGEST_CONSTANT)


def _rows(trace: Trace) -> dict[str, Row]:
    """The plan's row for each node of a network of ours; empty for another's module."""
    if trace.network is None:
        return {}
    shape = tuple(trace.values[trace.roles[INPUT]].shape[1:])
    rows = plan(trace.network, shape, len(trace.classes)).rows
    return {trace.called.get(row.name, row.name): row for row in rows}


def _range(array: NDArray[Any]) -> list[float | None]:
    """[smallest, mean, largest] of the finite numbers."""
    usable = array[np.isfinite(array)]
    if not usable.size:
        return [None, None, None]
    return [float(usable.min()), float(usable.mean(dtype=np.float64)), float(usable.max())]


def _largest(array: NDArray[Any]) -> float | None:
    usable = np.abs(array[np.isfinite(array)])
    return float(usable.max()) if usable.size else None


def _setting(value: Any) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_setting(each) for each in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
