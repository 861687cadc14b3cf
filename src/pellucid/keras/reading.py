"""Read a row of Keras layers into a network of ours with its weights, and note what each layer became."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import NetworkError, RecipeError
from pellucid.keras import kinds
from pellucid.keras.flow import ConvertedLayer, Flow
from pellucid.keras.graph import Fork, Node, Row, every
from pellucid.keras.pixels import Pixels
from pellucid.keras.settings import LARGEST_SIDE, precision
from pellucid.keras.spatial import NONE
from pellucid.network.layer import Elementwise, Layer
from pellucid.network.layers import (
    AvgPool,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Relu,
    Relu6,
    Residual,
    Sigmoid,
)
from pellucid.network.network import Network
from pellucid.network.residual import PlacedLayer
from pellucid.network.window import Shape

KEEP_SIGN = (MaxPool, AvgPool, GlobalAvgPool, Flatten, Dropout)


@dataclass(frozen=True)
class Line:
    """A layer of the file and what it became: text of our network, "preprocessing", "acts only in training", …"""

    name: str
    kind: str
    became: str


@dataclass(frozen=True)
class Read:
    """The result of reading a model.

    * network, weights: ours; arrays by the names of the state dict, float32 except int64 counters
    * shape: (channels, height, width) of its pictures
    * classes: their number
    * pixels: the preprocessing of the pictures
    * lines: every layer of the file, in order
    * notes: what the user needs to know, a sentence each
    """

    network: Network
    weights: dict[str, NDArray[Any]]
    shape: Shape
    classes: int
    pixels: Pixels
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def read(row: Row, size: tuple[int, int] | None, low: float, high: float) -> Read:
    """Read a row.

    `size`: height and width for a model that leaves them open. `low`, `high`: the model's input for 0 and 255. Raises
    NetworkError, ArtefactError, RecipeError.
    """
    reader = _Reader(row, size, low, high)
    parts = reader.row(row)
    return reader.read(parts)


class _Reader:
    def __init__(self, row: Row, size: tuple[int, int] | None, low: float, high: float) -> None:
        described = _input(row)
        height, width, channels = described if len(described) == 3 else (*described, 1)
        if channels not in (1, 3):
            raise NetworkError(f"The model takes pictures of {channels} channels; supported are 1 (grey) and 3 (RGB).")
        stated = (height, width) if height and width else None
        if stated and size and stated != size:
            raise RecipeError(f"The model takes pictures of {_by(stated)}, and size says {_by(size)}. Remove size.")
        scale = np.full(channels, (high - low) / 255)
        self.pixels = Pixels(scale, np.full(channels, low), stated or size)
        self.channels = channels
        self.flow = Flow((channels, 0, 0), plane=len(described) == 2)
        self.begun = False
        self.lines: list[Line] = []
        self.ending: Layer | str | None = None  # the last operation, an activation before its layer
        self._resized()

    def row(self, row: Sequence[Node | Fork]) -> list[ConvertedLayer]:
        """The parts of a row; `flow` is afterwards at its end."""
        return list(
            chain.from_iterable(self._fork(item) if isinstance(item, Fork) else self._node(item) for item in row)
        )

    def _node(self, node: Node) -> list[ConvertedLayer]:
        if not self.begun and (done := self.pixels.take(node)) is not None:
            self._resized()
            self.lines.append(Line(node.name, node.kind, done))
            return []
        if node.kind == "InputLayer":  # of a nested model
            return []
        if node.kind not in kinds.IN_TRAINING:
            self._check_size()
        self._check_precision(node)
        made = kinds.parts(node, self.flow)
        if isinstance(made, str):
            self.lines.append(Line(node.name, node.kind, made))
            return []
        activation = kinds.activation(node)
        idle = bool(made) and all(isinstance(part.layer, Dropout) for part in made)
        if self.ending == kinds.SOFTMAX and (made or activation) and not idle:
            raise NetworkError(f"A softmax stands before {node.called}; it is supported only at the end of a network.")
        if isinstance(activation, Layer):
            made = [*made, ConvertedLayer(activation)]
        for part in made:
            self._pass(node, part.layer)
        if (made or activation is not None) and not idle:
            self.ending = activation if activation is not None else made[-1].layer
        self.begun = self.begun or bool(made) or self.flow.zeros != NONE
        became = [*(str(part.layer) for part in made), *([activation] if isinstance(activation, str) else [])]
        waits = "zeros of the next layer" if node.kind == "ZeroPadding2D" else "changes nothing"
        self.lines.append(Line(node.name, node.kind, " ".join(became) or waits))
        return made

    def _resized(self) -> None:
        if self.pixels.size is not None:
            self.flow.shape = (self.channels, *self.pixels.size)

    def _check_size(self) -> None:
        if self.pixels.size is None:
            raise RecipeError("The model does not fix the size of its pictures. State it: --size 150 or 150x200.")

    def _check_precision(self, node: Node) -> None:
        """Note 16-bit arithmetic, which has 32 bits here. Raises NetworkError for quantised layers."""
        policy = precision(node)
        if "_from_" in policy:  # int8_from_float32
            raise NetworkError(f"{node.called} is quantised ({policy}). Save the model as it was before that.")
        if "16" in policy and not any("16 bits" in note for note in self.flow.notes):
            self.flow.notes.append(
                f"Keras computed in 16 bits ({policy}). Pellucid computes in 32 bits, so probabilities differ a little."
            )

    def _fork(self, fork: Fork) -> list[ConvertedLayer]:
        self._check_size()
        self.begun = True
        if self.flow.zeros != NONE or self.ending == kinds.SOFTMAX:
            raise NetworkError(
                f"The branches of Add {fork.name} begin behind a ZeroPadding2D or a softmax, which is not supported."
            )
        before, ends, branches = replace(self.flow), [], []
        for row in fork.rows:
            self.flow = replace(before)
            branches.append(tuple(self.row(row)))
            if self.flow.zeros != NONE or self.ending == kinds.SOFTMAX:
                raise NetworkError(
                    f"A branch ends with zeros or a softmax before Add {fork.name}, which is not supported."
                )
            ends.append(self.flow)
        (one, other), (body, shortcut) = ends, branches
        if one.shape != other.shape or one.flattened != other.flattened:
            raise NetworkError(
                f"Add {fork.name} brings {list(one.shape)} and {list(other.shape)} together; both branches must have "
                "the same shape and order."
            )
        if not body:
            raise NetworkError(f"Both branches of Add {fork.name} hold no layer, which is not supported.")
        self.flow = replace(one, positive=one.positive and other.positive)
        layer = Residual(tuple(part.layer for part in body), tuple(part.layer for part in shortcut))
        self.ending = layer
        self.lines.append(Line(fork.name, "Add", "residual, the two branches above"))
        return [ConvertedLayer(layer, {}, (body, shortcut))]

    def _pass(self, node: Node, layer: Layer) -> None:
        try:
            self.flow.shape = layer.output(self.flow.shape)
        except NetworkError as error:
            raise NetworkError(f"{node.called}, `{layer}`: {error}.") from error
        positive = isinstance(layer, Relu | Relu6 | Sigmoid)
        self.flow.positive = positive or (self.flow.positive and isinstance(layer, KEEP_SIGN))

    def read(self, parts: list[ConvertedLayer]) -> Read:
        if not parts:
            raise NetworkError("The model holds no layer that computes.")
        notes = [*self.pixels.notes, *self.flow.notes]
        parts, classes, note = _ended(parts, self.flow, self.ending)
        network = Network(tuple(part.layer for part in parts))
        size = self.pixels.size
        assert size is not None
        shape = self.channels, *size
        steps = network.shapes(shape, classes)
        weights = dict(_named(steps, parts, ""))
        return Read(network, weights, shape, classes, self.pixels, tuple(self.lines), (note, *notes))


def _input(row: Row) -> tuple[Any, ...]:
    """(height, width, channels) or (height, width) of the pictures, None where open. Raises NetworkError."""
    for node in every(row):
        shape = node.config.get("batch_shape") or node.config.get("batch_input_shape")
        if shape is not None:
            break
    else:
        raise NetworkError("The model does not say what it takes: it was never built. Call it on a picture, then save.")
    sides = shape[1:] if isinstance(shape, list) else []
    if len(sides) not in (2, 3) or (len(sides) == 3 and not _is_side(sides[2])):
        raise NetworkError(f"The model takes {sides or shape}; it must take pictures, [height, width, channels].")
    if not all(side is None or _is_side(side) for side in sides[:2]):
        raise NetworkError(f"The model takes {sides}; sides must be 1 to {LARGEST_SIDE:,} pixels.")
    return tuple(sides)


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE


def _ended(
    parts: list[ConvertedLayer], flow: Flow, ending: Layer | str | None
) -> tuple[list[ConvertedLayer], int, str]:
    """The parts with scores at the end, how many classes, and a sentence about what changed at the end."""
    while parts and isinstance(parts[-1].layer, Dropout):  # after the last number, where it acts only in training
        parts = parts[:-1]
    if len(flow.shape) != 1:
        raise NetworkError(f"The model ends with {list(flow.shape)}; it must end with one number for each class.")
    if flow.flattened is not None:
        raise NetworkError("The model ends with a flattened map; it needs a Dense layer behind it.")
    units = flow.shape[0]
    sigmoid = isinstance(ending, Sigmoid)
    if isinstance(ending, Layer) and not sigmoid and _bends(ending):
        raise NetworkError(
            f"The model ends with {ending}; supported are softmax, the sigmoid of one unit, or no activation."
        )
    if sigmoid and units > 1:
        raise NetworkError(
            f"The model ends with {units} sigmoids, several labels a picture; supported are softmax, the sigmoid of "
            "one unit, or no activation."
        )
    if ending == kinds.SOFTMAX:
        if units == 1:
            raise NetworkError("The model ends with the softmax of one unit, which is always 1.")
        return _open(parts), units, "Its softmax moved into the prediction: the network ends with the scores."
    if units > 1:
        return _open(parts), units, "It ends without an activation, so its outputs are taken as scores before softmax."
    if sigmoid:
        parts = parts[:-1]
        note = "Its one unit with a sigmoid became two scores, 0 and the unit, whose softmax is the same."
    else:
        note = (
            "It ends with one unit without an activation, taken as the score before a sigmoid: it became two scores, "
            "0 and the unit."
        )
    return _two(parts), 2, note


def _bends(layer: Layer) -> bool:
    return isinstance(layer, Elementwise) and not isinstance(layer, BatchNorm | Dropout)


def _open(parts: list[ConvertedLayer]) -> list[ConvertedLayer]:
    """A last dense takes its units from the number of classes, as in our text."""
    last = parts[-1]
    return (
        [*parts[:-1], replace(last, layer=replace(last.layer, units=None))] if isinstance(last.layer, Dense) else parts
    )


def _two(parts: list[ConvertedLayer]) -> list[ConvertedLayer]:
    """One score z becomes two, (0, z), whose softmax is 1 - sigmoid(z) and sigmoid(z)."""
    last = parts[-1]
    if isinstance(last.layer, Dense):
        weights = {name: np.concatenate([np.zeros_like(each), each]) for name, each in last.weights.items()}
        return [*parts[:-1], ConvertedLayer(replace(last.layer, units=None), weights)]
    return [*parts, ConvertedLayer(Dense(None, bias=False), {"weight": np.array([[0], [1]], np.float32)})]


def _named(
    steps: Sequence[PlacedLayer], parts: Sequence[ConvertedLayer], path: str
) -> Iterable[tuple[str, NDArray[Any]]]:
    """(name in the state dict, array) of each weight."""
    for step, part in zip(steps, parts, strict=True):
        if isinstance(step.layer, Residual):
            inner = zip(("body", "shortcut"), step.layer.branches(step.input), part.branches, strict=True)
            for branch, below, those in inner:
                yield from _named(below, those, f"{path}{step.name}.{branch}.")
        else:
            yield from ((f"{path}{step.name}.{name}", array) for name, array in part.weights.items())


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
