"""What every layer is: a frozen dataclass that knows its sizes, its parameters, its cost and its module.

The fields are what the text writes in parentheses: `Conv(10, (5, 5))` is `conv(10, 5)`; those after
`_: KW_ONLY` are written with their name, and only where they differ from the default. A layer has no weights and
needs no torch until `module()` is asked for.
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
INDEX = 8  # bytes of the int64 with which PyTorch remembers the winner of a max pooling window

State = dict[str, tuple[str, Shape]]
"""Tensors by name, as a module's state dict names them: the type of their numbers as NumPy says it, and their shape."""


class Names:
    """The names of layers in a row, `conv1`, `relu1`, `conv2`: a layer's word, counted from 1.

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
    """What one picture costs in one layer.

    Operations are floating-point operations (FLOPs): a multiply-add counts as two, a comparison or a function
    of one number (tanh, say) as one. Backward is the gradient of the weights plus the gradient of the input.
    """

    forward_flops: int
    backward_flops: int
    forward_bytes: int
    """float32 bytes of the output."""
    backward_bytes: int
    """Bytes that have to be kept from the forward pass until the backward pass, beside the parameters."""


@dataclass(frozen=True)
class Layer(ABC):
    """A layer's settings. Shapes are those of one picture, without the batch."""

    word: ClassVar[str]
    keeps_input: ClassVar[bool] = False
    """Whether the gradient is computed from the input's values, which have to be kept until then."""
    keeps_output: ClassVar[bool] = False
    sees_all: ClassVar[bool] = False
    """Whether each output sees every place of the input."""
    hands_on_order: ClassVar[bool] = False
    """Whether the gradient of the input lies in memory in the order in which that of the output came."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if complaint := out_of_range(each, getattr(self, each.name)):
                raise NetworkError(f"{self.word}: {complaint}.")

    def __str__(self) -> str:
        """As the network's text writes it."""
        arguments = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.kw_only and value != each.default:
                arguments.append(f"{each.name}={_written(value)}")
            elif not each.kw_only and value is not None:
                arguments.append(_written(value))
        return f"{self.word}({', '.join(arguments)})" if arguments else self.word

    @abstractmethod
    def output(self, input: Shape) -> Shape:
        """The output's shape. Raises NetworkError with the formula, its numbers, and what would fit."""

    @abstractmethod
    def output_formula(self, input: Shape) -> str:
        """How `output` comes about, with the numbers filled in."""

    @abstractmethod
    def module(self, input: Shape) -> "nn.Module":
        """A new torch module with initialised weights (see initialise.py)."""

    def state(self, input: Shape) -> State:
        """What its module keeps, learned or counted."""
        return {}

    def parameters(self, input: Shape) -> int:
        """How many numbers the layer learns."""
        return 0

    def parameters_formula(self, input: Shape) -> str:
        """`5*5*3*10 + 10 = 760`."""
        return "0"

    def cost(self, input: Shape, first: bool = False, input_is_kept: bool = False) -> Cost:
        """Operations and memory for one picture.

        `first`: no layer before this one learns, so that nobody asks for the gradient of its input.
        `input_is_kept`: the layer before keeps its output, this layer's input, which is not kept twice.
        """
        learns = self.parameters(input) > 0
        if first and not learns:
            return Cost(self.forward_flops(input), 0, self.output_bytes(input), 0)
        kept = self.extra_bytes(input)
        kept += FLOAT * prod(input) if self.keeps_input and not input_is_kept else 0
        kept += FLOAT * prod(self.output(input)) if self.keeps_output else 0
        backward = 0 if first else self.input_gradient_flops(input)
        backward += self.weight_gradient_flops(input) if learns else 0
        return Cost(self.forward_flops(input), backward, self.output_bytes(input), kept)

    @abstractmethod
    def forward_flops(self, input: Shape) -> int:
        """Operations of the forward pass."""

    def input_gradient_flops(self, input: Shape) -> int:
        """As a rule every step forward has one step back."""
        return self.forward_flops(input)

    def weight_gradient_flops(self, input: Shape) -> int:
        return self.forward_flops(input)

    def output_bytes(self, input: Shape) -> int:
        return FLOAT * prod(self.output(input))

    def extra_bytes(self, input: Shape) -> int:
        """Bytes kept for the backward pass that are neither input nor output."""
        return 0

    def scratch_bytes(self, input: Shape) -> int:
        """Bytes that its backward pass takes for a while, for each picture, beside gradients and what is kept."""
        return 0

    def weight_copies(self) -> int:
        """How often its backward pass copies the weights, whatever the number of pictures."""
        return 0

    def reordered_bytes(self, input: Shape) -> int:
        """Bytes that its backward pass copies, for each picture, where the gradient comes in plain order of memory.

        Networks train channels-last; the gradient that comes out of a flatten or a global average is in plain order.
        """
        return 0

    def window(self) -> Window | None:
        """The window that slides over the input, where there is one."""
        return None


LARGEST = 100_000_000  # of any setting: far beyond use, far below what torch's 64-bit sizes can hold

AT_LEAST_0 = {"least": 0}  # metadata of a dataclass field whose numbers have a smallest value
AT_LEAST_1 = {"least": 1}


def out_of_range(setting: Field[Any], value: object) -> str | None:
    """What is wrong with a setting's value, or None: `filters must be 1 or more, not 0`."""
    least, below = setting.metadata.get("least"), setting.metadata.get("below")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if not number <= LARGEST:  # also what is no number
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


def channels_height_width(input: Shape) -> tuple[int, int, int]:
    """Channels, height and width, or a NetworkError for a flat input."""
    if len(input) != 3:
        raise NetworkError(
            f"it needs [channels, height, width], but its input is {list(input)}; put it before flatten, "
            "globalavgpool and dense"
        )
    return input[0], input[1], input[2]


@dataclass(frozen=True)
class Elementwise(Layer):
    """A layer whose output has its input's shape."""

    hands_on_order: ClassVar[bool] = True

    def output(self, input: Shape) -> Shape:
        return input

    def output_formula(self, input: Shape) -> str:
        return "as its input"

    def forward_flops(self, input: Shape) -> int:
        return prod(input)
