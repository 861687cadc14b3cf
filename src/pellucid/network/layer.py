"""The base of every layer: a frozen dataclass that knows its sizes, its parameters, its cost and its module.

The fields are the settings in parentheses in the text: `Conv(10, (5, 5))` is `conv(10, 5)`. Those after `_: KW_ONLY`
are written with their name, and only if they differ from the default. A layer has no weights and needs no torch until
`module()` is called.
"""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import Field, dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from pellucid.errors import NetworkError
from pellucid.network.window import Shape, Window, pair

if TYPE_CHECKING:
    from torch import nn

FLOAT = 4  # bytes of a float32
INDEX = 8  # bytes of the int64 in which PyTorch stores the winner of a max pooling window

TensorSpecs = dict[str, tuple[str, Shape]]
"""Tensors by their names in a module's state dict: NumPy's name of the dtype, and the shape."""


class Names:
    """The names of layers in a row, `conv1`, `relu1`, `conv2`: a layer's word and its count from 1.

    `relu6_10` where the word ends with a digit: `relu610` would read as the 610th relu.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def next(self, word: str) -> str:
        """The name of the next layer of this kind."""
        self._counts[word] += 1
        return f"{word}{'_' * word[-1].isdigit()}{self._counts[word]}"


@dataclass(frozen=True)
class Cost:
    """The cost of one picture in one layer.

    Operations are floating-point operations (FLOPs): a multiply-add counts as two, a comparison or a function of one
    number (such as tanh) as one. Backward is the gradient of the weights plus the gradient of the input.
    """

    forward_flops: int
    backward_flops: int
    forward_bytes: int
    """float32 bytes of the output."""
    backward_bytes: int
    """Bytes kept from the forward pass until the backward pass, besides the parameters."""


@dataclass(frozen=True)
class Layer(ABC):
    """A layer's settings. Shapes are those of one picture, without the batch."""

    word: ClassVar[str]
    keeps_input: ClassVar[bool] = False
    """Whether the gradient needs the input's values, which must be kept until then."""
    keeps_output: ClassVar[bool] = False
    sees_all: ClassVar[bool] = False
    """Whether each output sees every place of the input."""
    hands_on_order: ClassVar[bool] = False
    """Whether the gradient of the input has the memory order of the output's gradient."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if complaint := out_of_range(each, getattr(self, each.name)):
                raise NetworkError(f"{self.word}: {complaint}.")

    def __str__(self) -> str:
        """The layer as the network's text writes it."""
        arguments = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.kw_only and value != each.default:
                arguments.append(f"{each.name}={_written(value)}")
            elif not each.kw_only and value is not None:
                arguments.append(_written(value))
        return f"{self.word}({', '.join(arguments)})" if arguments else self.word

    @abstractmethod
    def output(self, shape: Shape) -> Shape:
        """The output's shape. Raises NetworkError with the formula, its numbers, and what would fit."""

    @abstractmethod
    def output_formula(self, shape: Shape) -> str:
        """The formula of `output`, with the numbers filled in."""

    @abstractmethod
    def module(self, shape: Shape) -> "nn.Module":
        """A new torch module with initialised weights (see initialise.py)."""

    def state(self, shape: Shape) -> TensorSpecs:
        """The tensors in its module's state, learned or counted."""
        return {}

    def parameters(self, shape: Shape) -> int:
        """How many numbers the layer learns."""
        return 0

    def parameters_formula(self, shape: Shape) -> str:
        """`5*5*3*10 + 10 = 760`."""
        return "0"

    def cost(self, shape: Shape, first: bool = False, input_is_kept: bool = False) -> Cost:
        """Operations and memory for one picture.

        `first`: no layer before this one learns, so the gradient of its input is not needed. `input_is_kept`: the layer
        before keeps its output, which is this layer's input, so it is not counted twice.
        """
        learns = self.parameters(shape) > 0
        if first and not learns:
            return Cost(self.forward_flops(shape), 0, self.output_bytes(shape), 0)
        stored = self.extra_bytes(shape)
        stored += FLOAT * prod(shape) if self.keeps_input and not input_is_kept else 0
        stored += FLOAT * prod(self.output(shape)) if self.keeps_output else 0
        backward = 0 if first else self.input_gradient_flops(shape)
        backward += self.weight_gradient_flops(shape) if learns else 0
        return Cost(self.forward_flops(shape), backward, self.output_bytes(shape), stored)

    @abstractmethod
    def forward_flops(self, shape: Shape) -> int:
        """Operations of the forward pass."""

    def input_gradient_flops(self, shape: Shape) -> int:
        """By default each forward operation has one backward operation."""
        return self.forward_flops(shape)

    def weight_gradient_flops(self, shape: Shape) -> int:
        return self.forward_flops(shape)

    def output_bytes(self, shape: Shape) -> int:
        return FLOAT * prod(self.output(shape))

    def extra_bytes(self, shape: Shape) -> int:
        """Bytes kept for the backward pass that are neither input nor output."""
        return 0

    def scratch_bytes(self, shape: Shape) -> int:
        """Temporary bytes of its backward pass, per picture, besides gradients and kept numbers."""
        return 0

    def weight_copies(self) -> int:
        """How often its backward pass copies the weights, for any number of pictures."""
        return 0

    def reordered_bytes(self, shape: Shape) -> int:
        """Bytes that its backward pass copies, per picture, if the gradient arrives in plain memory order.

        Networks train channels-last; the gradient out of a flatten or a global average is in plain order.
        """
        return 0

    def window(self) -> Window | None:
        """The window that slides over the input, if there is one."""
        return None


LARGEST = 100_000_000  # of any setting: far above any use, far below the limit of torch's 64-bit sizes

AT_LEAST_0 = {"least": 0}  # metadata of a dataclass field whose numbers have a minimum
AT_LEAST_1 = {"least": 1}


def out_of_range(setting: Field[Any], value: object) -> str | None:
    """The error in a setting's value, or None: `filters must be 1 or more, not 0`."""
    least, below = setting.metadata.get("least"), setting.metadata.get("below")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if not number <= LARGEST:  # this form also catches NaN
            return f"{setting.name} must be at most {LARGEST:,}, not {number:,}"
        if least is not None and number < least:
            return f"{setting.name} must be {least} or more, not {number}"
        if below is not None and number >= below:
            return f"{setting.name} must be less than {below}, not {number}"
    return None


def _written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return pair(value)
        case _:
            return str(value)


def channels_height_width(shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width. Raises NetworkError for a flat input."""
    if len(shape) != 3:
        raise NetworkError(
            f"it needs [channels, height, width], but its input is {list(shape)}; put it before flatten, "
            "globalavgpool and dense"
        )
    return shape[0], shape[1], shape[2]


@dataclass(frozen=True)
class Elementwise(Layer):
    """A layer whose output has its input's shape."""

    hands_on_order: ClassVar[bool] = True

    def output(self, shape: Shape) -> Shape:
        return shape

    def output_formula(self, shape: Shape) -> str:
        return "as its input"

    def forward_flops(self, shape: Shape) -> int:
        return prod(shape)
