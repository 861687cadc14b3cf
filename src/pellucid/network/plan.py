"""The plan of a network before training: sizes, parameters, operations, memory, each with its formula."""

import re
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

from pellucid.errors import NetworkError
from pellucid.network.layer import FLOAT, Cost
from pellucid.network.layers import Branched, Conv, Pair, Shape
from pellucid.network.network import Network
from pellucid.network.residual import Item, itemised, peak_bytes

SET_ASIDE = 0.03  # of a step's numbers: what PyTorch allocates besides, such as reordered weights (docs/why/plan.md)
PROGRAM = 500_000_000  # bytes of PyTorch, compiled loops and the pictures of a batch (docs/why/plan.md)
GAPS = 2.2  # times a step's numbers: the most that a process took for them, including the allocator's gaps
LARGEST_SIDE = 100_000  # pixels; a larger picture is a typing error


@dataclass(frozen=True)
class Row:
    """A layer. A layer that holds rows becomes several: the rows' layers first, then their joining, `residual1`."""

    name: str
    """The module's name in the torch module: `conv1`, or `residual1.body.conv1` inside a residual."""
    layer: str
    """The layer as the network's text writes it."""
    output: Shape
    output_formula: str
    parameters: int
    parameters_formula: str
    cost: Cost
    receptive_field: Pair
    """Height and width of the part of the picture that affects one output; padding may extend it beyond the picture."""


@dataclass(frozen=True)
class FullyConnected:
    """The dense layer with as many outputs as the first convolution, without shared weights."""

    instead_of: str
    parameters: int
    formula: str


@dataclass(frozen=True)
class Plan:
    """FLOPs (a multiply-add counts as two) and bytes are per picture unless a name says otherwise.

    Backward is the gradients of the weights and of each layer's input, except where nothing before the layer learns:
    the picture needs no gradient.
    """

    network: str
    input: Shape
    classes: int
    batch: int
    rows: tuple[Row, ...]
    parameters: int
    forward_flops: int
    backward_flops: int
    kept_bytes: int
    """The activations of one picture that the backward pass needs."""
    step_bytes: int
    """The most that one picture of a training step needs at one time: kept activations, and the layer at work."""
    peak_bytes: int
    """The most in memory at one time while one picture passes and nothing is kept."""
    training_bytes: int
    """The peak of a training step on a batch, see `training_formula`.

    It is the most bytes of numbers that PyTorch holds at one time, in float32, channels-last, with its own modules.
    Fused blocks and bfloat16 take less. The program and the allocator's gaps come on top.
    """
    training_formula: str
    predicting_bytes: int
    """Parameters, and the batch at its largest layer."""
    fully_connected: FullyConnected | None
    """None without a convolution."""

    @property
    def program_bytes(self) -> int:
        """Upper bound for the whole process in training, measured on two cores (docs/why/plan.md)."""
        return PROGRAM + round(GAPS * self.training_bytes)

    def as_json(self) -> dict[str, Any]:
        """The plan in JSON's types; shapes are lists, [channels, height, width]."""
        instead = self.fully_connected
        return {
            "network": self.network,
            "input": list(self.input),
            "classes": self.classes,
            "batch": self.batch,
            "layers": [_row_as_json(row) for row in self.rows],
            "total_parameters": self.parameters,
            "total_forward_flops": self.forward_flops,
            "total_backward_flops": self.backward_flops,
            "total_kept_bytes": self.kept_bytes,
            "widest_step_bytes": self.step_bytes,
            "widest_predicting_bytes": self.peak_bytes,
            "training_step_bytes": self.training_bytes,
            "training_step_formula": self.training_formula,
            "training_program_bytes_at_most": self.program_bytes,
            "predicting_bytes": self.predicting_bytes,
            "fully_connected_instead_of": instead.instead_of if instead else None,
            "fully_connected_parameters": instead.parameters if instead else None,
            "fully_connected_formula": instead.formula if instead else None,
        }


def plan(network: Network, shape: Shape, classes: int, batch: int = 32, optimizer_states: int = 2) -> Plan:
    """What training `network` on pictures of this `shape` costs. Raises NetworkError if sizes do not fit.

    `optimizer_states`: numbers that the optimizer keeps per parameter: 2 for Adam, 1 for SGD with momentum. The memory
    is that of the numbers in float32, at the peak of training, with PyTorch's working memory (`Plan.training_bytes`);
    the program and PyTorch itself come on top.
    """
    network.shapes(shape, classes)
    layers = network.filled(classes)
    items, _ = itemised(layers, shape)
    rows = tuple(_row(item, shape) for item in items)
    parameters = sum(row.parameters for row in rows)
    step, gradients, copied = _step_bytes(items, batch)
    peak = peak_bytes(layers, shape)
    numbers = FLOAT * (parameters * (1 + optimizer_states) + gradients) + batch * step + copied
    training = numbers + round(SET_ASIDE * numbers)
    return Plan(
        network=str(network),
        input=shape,
        classes=classes,
        batch=batch,
        rows=rows,
        parameters=parameters,
        forward_flops=sum(row.cost.forward_flops for row in rows),
        backward_flops=sum(row.cost.backward_flops for row in rows),
        kept_bytes=sum(row.cost.backward_bytes for row in rows),
        step_bytes=step,
        peak_bytes=peak,
        training_bytes=training,
        training_formula=(
            f"{FLOAT} bytes * ({parameters} parameters * (1 value + {optimizer_states} of the optimizer) "
            f"+ {gradients} gradients) "
            f"+ {batch} pictures * {step} bytes "
            + (f"+ {copied} bytes of weights in another order " if copied else "")
            + f"+ {SET_ASIDE:.0%} = {training}"
        ),
        predicting_bytes=FLOAT * parameters + batch * peak,
        fully_connected=_fully_connected(items),
    )


def parse_input(text: str) -> Shape:
    """`300x300x3`, height x width x channels, as (3, 300, 300). Raises NetworkError."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*[xX×]\s*(\d{1,9})\s*[xX×]\s*(\d{1,9})\s*", text, re.ASCII)
    if match is None:
        raise NetworkError(f"The input size {text!r} is not HEIGHTxWIDTHxCHANNELS; write 300x300x3.")
    height, width, channels = (int(number) for number in match.groups())
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise NetworkError(
            f"The input size {text!r} has a side that is not from 1 to {LARGEST_SIDE:,} pixels; write 300x300x3."
        )
    if channels not in (1, 3):
        raise NetworkError(
            f"The input size {text!r} has {channels} channels; write 3 for colour, 1 for grey: {height}x{width}x3."
        )
    return channels, height, width


def _step_bytes(items: list[Item], batch: int) -> tuple[int, int, int]:
    """Bytes per picture, gradients of weights, and bytes of copied weights, at the moment of their largest sum.

    During a layer's backward pass, memory holds what it and the layers before it keep. The layers after it have freed
    theirs, and the gradients of their weights exist.
    """
    stored = list(accumulate(item.cost.backward_bytes for item in items))
    layers = [(item.step.layer, item.step.input) for item in items]
    learned = [0 if isinstance(layer, Branched) else layer.parameters(shape) for layer, shape in layers]
    gradients = list(accumulate(reversed(learned)))[::-1]
    steps = [
        (before + item.work_bytes, there, item.copied_bytes)
        for before, there, item in zip(stored, gradients, items, strict=True)
    ]
    return max(steps, key=lambda step: batch * step[0] + FLOAT * step[1] + step[2])


def _row(item: Item, shape: Shape) -> Row:
    step = item.step
    # the parameters of a layer's branches are in their own rows
    branched = isinstance(step.layer, Branched)
    return Row(
        name=item.path,
        layer=step.layer.joining if isinstance(step.layer, Branched) else str(step.layer),
        output=step.output,
        output_formula=step.layer.output_formula(step.input),
        parameters=0 if branched else step.layer.parameters(step.input),
        parameters_formula="0" if branched else step.layer.parameters_formula(step.input),
        cost=item.cost,
        receptive_field=item.sees or (shape[1], shape[2]),
    )


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "layer": row.layer,
        "output": list(row.output),
        "output_formula": row.output_formula,
        "parameters": row.parameters,
        "parameters_formula": row.parameters_formula,
        "forward_flops": row.cost.forward_flops,
        "backward_flops": row.cost.backward_flops,
        "forward_bytes": row.cost.forward_bytes,
        "backward_bytes": row.cost.backward_bytes,
        "receptive_field": list(row.receptive_field),
    }


def _fully_connected(items: list[Item]) -> FullyConnected | None:
    first = next((item for item in items if isinstance(item.step.layer, Conv)), None)
    if first is None:
        return None
    (channels, height, width), output = first.step.input, first.step.output
    parameters = prod(first.step.input) * prod(output) + prod(output)
    outputs = f"{output[1]}*{output[2]}*{output[0]}"
    formula = f"{height}*{width}*{channels} * {outputs} + {outputs} = {parameters}"
    return FullyConnected(first.path, parameters, formula)
