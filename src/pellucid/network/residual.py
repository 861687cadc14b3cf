"""Layers in a row, and layers that hold rows, such as the residual layer, with the functions that walk over them."""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pellucid.errors import NetworkError
from pellucid.network.layer import FLOAT, Cost, Layer, Names, TensorSpecs
from pellucid.network.pooling import Flatten, GlobalAvgPool
from pellucid.network.window import Pair, Shape, pair

if TYPE_CHECKING:
    from torch import nn


class PlacedLayer(NamedTuple):
    """A layer at its place in a network."""

    name: str
    """`conv1`: the layer's word and its count from 1 in its row."""
    layer: Layer
    input: Shape
    output: Shape


class Item(NamedTuple):
    """A step with its cost."""

    path: str
    """`residual2.body.conv1`, as in the module's state dict; the last part is the step's name."""
    step: PlacedLayer
    cost: Cost
    work_bytes: int
    """Bytes in memory while the layer runs, forward or backward, besides kept numbers: its input and output, or their
    gradients, and the gradient that waits for a residual's other branch.
    """
    sees: Pair | None
    """The receptive field: height and width of the part of the picture that one output sees; None means all of it."""
    copied_bytes: int = 0
    """Bytes of weights that the backward pass copies, for any number of pictures."""


@dataclass(frozen=True)
class Before:
    """What comes before a row of layers."""

    learns: bool = False
    """Whether a layer before it has weights, which makes the gradient of the row's input necessary."""
    keeps: bool = False
    """Whether the layer before keeps its output, the row's input, for its own gradient."""
    sees: Pair | None = (1, 1)
    """The receptive field of one number of the row's input."""
    step: Pair = (1, 1)
    """Pixels from one number of the row's input to the next."""


def chain(layers: Sequence[Layer], shape: Shape, path: str = "") -> list[PlacedLayer]:
    """Each layer with its name and sizes. Raises NetworkError (TooSmall) with the layer's name and text."""
    steps = []
    names = Names()
    for layer in layers:
        name = names.next(layer.word)
        if isinstance(layer, Branched):
            output = layer.output(shape, path + name)
        else:
            try:
                output = layer.output(shape)
            except NetworkError as error:
                raise type(error)(f"{path}{name} `{layer}`: {error}") from None
        steps.append(PlacedLayer(name, layer, shape, output))
        shape = output
    return steps


def state(steps: Sequence[PlacedLayer]) -> TensorSpecs:
    """The tensors of the row's modules, by the names and in the order of the state dict."""
    return {f"{step.name}.{name}": tensor for step in steps for name, tensor in step.layer.state(step.input).items()}


def modules(steps: Sequence[PlacedLayer]) -> "nn.Sequential":
    """The row as a torch module, its parts named like the steps."""
    from torch import nn

    return nn.Sequential(OrderedDict((step.name, step.layer.module(step.input)) for step in steps))


def itemised(
    layers: Sequence[Layer],
    shape: Shape,
    before: Before = Before(),
    path: str = "",
    waiting: int = 0,
    plain: bool = False,
) -> tuple[list[Item], Before]:
    """The cost of each layer in a row, and what comes before a next row.

    A layer that holds rows becomes several items: the layers of each row, then their joining. `waiting`: bytes of
    gradients that wait while the row runs backward. `plain`: the gradient of its output is in plain order.
    """
    items: list[Item] = []
    steps = chain(layers, shape)
    for number, step in enumerate(steps):
        if isinstance(step.layer, Branched):
            comes_plain = _comes_plain(steps[number + 1 :], plain)
            inner, before = step.layer.itemised(step, before, path + step.name, waiting, comes_plain)
            items += inner
        else:
            cost = step.layer.cost(step.input, first=not before.learns, input_is_kept=before.keeps)
            work = waiting + cost.forward_bytes
            if before.learns:
                work += FLOAT * prod(step.input) + step.layer.scratch_bytes(step.input)
                work += step.layer.reordered_bytes(step.input) if _comes_plain(steps[number + 1 :], plain) else 0
            copied = FLOAT * step.layer.parameters(step.input) * step.layer.weight_copies() if before.learns else 0
            before = _after(step, before)
            items.append(Item(path + step.name, step, cost, work, before.sees, copied))
    return items, before


def _comes_plain(steps: Sequence[PlacedLayer], plain: bool) -> bool:
    """Whether the gradient of these steps' input is in plain order. `plain`: whether that of their output is."""
    for step in steps:
        if not step.layer.hands_on_order:
            return isinstance(step.layer, Flatten | GlobalAvgPool)
    return plain


def _after(step: PlacedLayer, before: Before) -> Before:
    layer, window = step.layer, step.layer.window()
    learns = before.learns or layer.parameters(step.input) > 0
    keeps = before.keeps if isinstance(layer, Flatten) else learns and layer.keeps_output
    if layer.sees_all or before.sees is None:
        return Before(learns, keeps, None, before.step)
    if window is None:
        return replace(before, learns=learns, keeps=keeps)
    grown = [before.sees[axis] + (window.reach[axis] - 1) * before.step[axis] for axis in (0, 1)]
    strides = [before.step[axis] * window.stride[axis] for axis in (0, 1)]
    return Before(learns, keeps, (grown[0], grown[1]), (strides[0], strides[1]))


def _itemised_residual(
    layer: "Residual", step: PlacedLayer, before: Before, at: str, waiting: int, plain: bool
) -> tuple[list[Item], Before]:
    incoming, output = FLOAT * prod(step.input), FLOAT * prod(step.output)
    # backward, the shortcut comes first: the body's gradient waits for it, then its own waits for the body
    body, after_body = itemised(layer.body, step.input, before, f"{at}.body.", waiting + incoming, plain)
    if not layer.shortcut and not isinstance(layer.body[-1], Branched):
        # the gradient that waits for the body is the one that its last layer works on
        body[-1] = body[-1]._replace(work_bytes=body[-1].work_bytes - output)
    keeps = before.keeps or _keeps_its_input(layer.body, step.input, before.learns)
    shortcut, after_shortcut = itemised(
        layer.shortcut, step.input, replace(before, keeps=keeps), f"{at}.shortcut.", waiting + output, plain
    )
    both_see = (after_body.sees, after_shortcut.sees)
    sees = None if None in both_see else max(each for each in both_see if each)
    # backward, the addition passes its gradient through; where the branches part, theirs are added
    addition = Cost(prod(step.output), prod(step.input) if before.learns else 0, output, 0)
    work = waiting + (3 if layer.shortcut else 2) * output
    learns = after_body.learns or after_shortcut.learns
    return [*body, *shortcut, Item(at, step, addition, work, sees)], Before(learns, False, sees, after_body.step)


def _keeps_its_input(layers: Sequence[Layer], shape: Shape, learns: bool) -> bool:
    """Whether a row keeps its input until the backward pass. `learns`: whether something before it learns."""
    for layer in layers:
        if isinstance(layer, Branched):
            return layer.keeps_the_input(shape, learns)
        if not isinstance(layer, Flatten):
            return layer.keeps_input and (learns or layer.parameters(shape) > 0)
        shape = layer.output(shape)
    return False


def peak_bytes(layers: Sequence[Layer], shape: Shape, input_waits: bool = False) -> int:
    """The most float32 bytes in memory at one time while one picture passes.

    That is a layer's input and output, and what waits until rows are joined. `input_waits`: the row's own input is
    needed again after the row.
    """
    peak = 0
    for index, step in enumerate(chain(layers, shape)):
        waiting = FLOAT * prod(shape) if input_waits and index > 0 else 0
        before, after = FLOAT * prod(step.input), FLOAT * prod(step.output)
        if isinstance(step.layer, Branched):
            here = step.layer.peak_bytes(step.input)
        else:
            here = before + (0 if isinstance(step.layer, Flatten) else after)
        peak = max(peak, waiting + here)
    return peak


@dataclass(frozen=True)
class Branched(Layer):
    """A layer that holds rows of layers over one input, and joins their outputs."""

    rows: ClassVar[tuple[str, ...]]
    """The fields that hold a row each, in their order of execution."""
    joining: ClassVar[str]
    """The operation that joins them, "addition"."""
    example: ClassVar[str]

    body: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.body:
            raise NetworkError(f"{self.word}: its body is empty; write layers, {self.example}.")

    def __str__(self) -> str:
        texts = [" ".join(map(str, getattr(self, row))) for row in self.rows]
        return f"{self.word}({' | '.join(filter(None, texts))})"

    def branches(self, shape: Shape, path: str | None = None) -> tuple[list[PlacedLayer], ...]:
        """The steps of each row. Raises NetworkError with the layer's name."""
        return tuple(chain(getattr(self, row), shape, f"{path or self.word}.{row}.") for row in self.rows)

    @abstractmethod
    def output(self, shape: Shape, path: str | None = None) -> Shape:
        """The output's shape. `path`: the layer's name. Raises NetworkError if the rows cannot be joined."""

    @abstractmethod
    def itemised(
        self, step: PlacedLayer, before: Before, at: str, waiting: int, plain: bool
    ) -> tuple[list[Item], Before]:
        """The cost of each layer of its rows, and of the joining, which is named `at`. `plain` as in the function."""

    @abstractmethod
    def keeps_the_input(self, shape: Shape, learns: bool) -> bool:
        """Whether its input is kept until the backward pass. `learns`: whether something before it learns."""

    @abstractmethod
    def peak_bytes(self, shape: Shape) -> int:
        """The most float32 bytes in memory at one time while one picture passes."""

    def state(self, shape: Shape) -> TensorSpecs:
        rows = zip(self.rows, self.branches(shape), strict=True)
        return {f"{row}.{name}": tensor for row, steps in rows for name, tensor in state(steps).items()}

    def parameters(self, shape: Shape) -> int:
        return sum(self._counts(shape))

    def parameters_formula(self, shape: Shape) -> str:
        counts = self._counts(shape)
        return " + ".join(map(str, counts)) + (f" = {sum(counts)}" if len(counts) > 1 else "")

    def _counts(self, shape: Shape) -> list[int]:
        return [sum(step.layer.parameters(step.input) for step in steps) for steps in self.branches(shape)]

    def cost(self, shape: Shape, first: bool = False, input_is_kept: bool = False) -> Cost:
        items, _ = itemised((self,), shape, Before(learns=not first, keeps=input_is_kept))
        return Cost(*(sum(numbers) for numbers in zip(*(astuple(item.cost) for item in items), strict=True)))

    def forward_flops(self, shape: Shape) -> int:
        return self.cost(shape).forward_flops


@dataclass(frozen=True)
class Residual(Branched):
    """`residual(conv(64, 3, padding=1) relu conv(64, 3, padding=1) | conv(64, 1))`: body plus shortcut.

    Without a shortcut the input itself is added (He et al. 2015, "Deep residual learning", eq. 1 and 2).
    """

    word: ClassVar[str] = "residual"
    rows: ClassVar[tuple[str, ...]] = ("body", "shortcut")
    joining: ClassVar[str] = "addition"
    example: ClassVar[str] = "residual(conv(64, 3, padding=1) relu)"

    shortcut: tuple[Layer, ...] = ()

    def output(self, shape: Shape, path: str | None = None) -> Shape:
        body, shortcut = (steps[-1].output if steps else shape for steps in self.branches(shape, path))
        if body != shortcut:
            target = "the shortcut" if self.shortcut else "the input, which is added as it is,"
            raise NetworkError(
                f"{path or self.word}: the body gives {list(body)} but {target} {list(shortcut)}, and only equal sizes "
                f"can be added; {_matching(shape, body)}"
            )
        return body

    def output_formula(self, shape: Shape) -> str:
        return f"{list(shape)} + body" if not self.shortcut else "shortcut + body"

    def itemised(
        self, step: PlacedLayer, before: Before, at: str, waiting: int, plain: bool
    ) -> tuple[list[Item], Before]:
        return _itemised_residual(self, step, before, at, waiting, plain)

    def keeps_the_input(self, shape: Shape, learns: bool) -> bool:
        return any(_keeps_its_input(branch, shape, learns) for branch in (self.body, self.shortcut))

    def peak_bytes(self, shape: Shape) -> int:
        before, after = FLOAT * prod(shape), FLOAT * prod(self.output(shape))
        body = peak_bytes(self.body, shape, input_waits=True)
        shortcut = after + peak_bytes(self.shortcut, shape, input_waits=True)
        return max(body, shortcut, before + (3 if self.shortcut else 2) * after)

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        from pellucid.network.branches import Branches

        body, shortcut = self.branches(shape)
        return Branches(modules(body), modules(shortcut) if shortcut else nn.Identity())


def _matching(shape: Shape, body: Shape) -> str:
    """A shortcut that would make the sizes equal, if a 1x1 convolution can."""
    if len(shape) == 3 and len(body) == 3:
        strides = (-(-shape[1] // body[1]), -(-shape[2] // body[2]))
        if tuple(-(-shape[axis] // strides[axis - 1]) for axis in (1, 2)) == body[1:]:
            stride = f", stride={pair(strides)}" if strides != (1, 1) else ""
            return f"the shortcut conv({body[0]}, 1{stride}) would fit"
    return "change the layers of one, or pad them, until both give the same"
