"""Layers that learn: convolution, dense, batch norm."""

from dataclasses import KW_ONLY, dataclass, field
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from pellucid.errors import NetworkError
from pellucid.network.initialise import Init, initialise
from pellucid.network.layer import AT_LEAST_0, AT_LEAST_1, FLOAT, Elementwise, Layer, TensorSpecs, channels_height_width
from pellucid.network.window import Pair, Shape, Window

if TYPE_CHECKING:
    from torch import nn

Padding = Pair | Literal["same", "valid"]


@dataclass(frozen=True)
class Conv(Layer):
    """`conv(10, 5)`: 10 filters of 5x5; each filter spans the channels of its group.

    `same` padding keeps height and width at stride 1: P = D*(F-1)/2 zeros on each side, as in the article. With a
    stride S it gives ceil(W / S) outputs, as in TensorFlow. If the number of zeros is odd, the right and the lower side
    get one more. `valid` means no padding.
    """

    word: ClassVar[str] = "conv"
    keeps_input: ClassVar[bool] = True

    filters: int = field(metadata=AT_LEAST_1)
    size: Pair = field(metadata=AT_LEAST_1)
    _: KW_ONLY
    stride: Pair = field(default=(1, 1), metadata=AT_LEAST_1)
    padding: Padding = field(default=(0, 0), metadata=AT_LEAST_0)
    dilation: Pair = field(default=(1, 1), metadata=AT_LEAST_1)
    groups: int = field(default=1, metadata=AT_LEAST_1)
    bias: bool = True
    init: Init = "he"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding == "valid":
            object.__setattr__(self, "padding", (0, 0))
        if self.init == "xavier":
            object.__setattr__(self, "init", "glorot")
        if self.filters % self.groups:
            raise NetworkError(f"conv: {self.filters} filters cannot be shared among {self.groups} groups.")

    @property
    def lopsided(self) -> bool:
        """Whether the number of zeros depends on the input, and may be odd: `same`, except in the article's case."""
        return self.padding == "same" and (self.stride != (1, 1) or any(zeros % 2 for zeros in self._all_zeros))

    @property
    def _all_zeros(self) -> Pair:
        """2P, the zeros on both sides that keep height and width at stride 1."""
        return self.dilation[0] * (self.size[0] - 1), self.dilation[1] * (self.size[1] - 1)

    @property
    def zeros(self) -> Pair:
        """P, the zeros on each side, as numbers. Not for a `lopsided` convolution: see Window.zeros."""
        assert not self.lopsided, "the zeros depend on the input's size"
        if isinstance(self.padding, tuple):
            return self.padding
        return self._all_zeros[0] // 2, self._all_zeros[1] // 2

    def window(self) -> Window:
        if self.lopsided:
            return Window(self.size, self.stride, dilation=self.dilation, same=True)
        return Window(self.size, self.stride, self.zeros, self.dilation)

    def output(self, shape: Shape) -> Shape:
        channels, height, width = channels_height_width(shape)
        if channels % self.groups:
            raise NetworkError(
                f"its input has {channels} channels, which cannot be shared among {self.groups} groups; "
                f"use a number of groups that divides {channels}"
            )
        return (self.filters, *self.window().output(height, width))

    def output_formula(self, shape: Shape) -> str:
        return self.window().formula(shape[1], shape[2])

    def state(self, shape: Shape) -> TensorSpecs:
        weight = {"weight": ("float32", (self.filters, shape[0] // self.groups, *self.size))}
        return weight | ({"bias": ("float32", (self.filters,))} if self.bias else {})

    def parameters(self, shape: Shape) -> int:
        return prod(self.size) * (shape[0] // self.groups) * self.filters + (self.filters if self.bias else 0)

    def parameters_formula(self, shape: Shape) -> str:
        channels = f"({shape[0]}/{self.groups})" if self.groups > 1 else f"{shape[0]}"
        bias = f" + {self.filters}" if self.bias else ""
        return f"{self.size[0]}*{self.size[1]}*{channels}*{self.filters}{bias} = {self.parameters(shape)}"

    def forward_flops(self, shape: Shape) -> int:
        """F*F*C multiply-adds per output; the bias is the sum's first term and adds no cost."""
        return 2 * prod(self.size) * (shape[0] // self.groups) * prod(self.output(shape))

    def weight_copies(self) -> int:
        return 2  # the filters and their gradient, in the library's own memory order

    def reordered_bytes(self, shape: Shape) -> int:
        channels, height, width = output = self.output(shape)
        alike = channels == 1 or height == width == 1  # then both orders are the same
        return 0 if alike else FLOAT * prod(output)

    def module(self, shape: Shape) -> "nn.Conv2d":
        from torch import nn

        from pellucid.network.same import SameConv2d

        kind, zeros = (SameConv2d, (0, 0)) if self.lopsided else (nn.Conv2d, self.zeros)
        conv = kind(shape[0], self.filters, self.size, self.stride, zeros, self.dilation, self.groups, self.bias)
        initialise(conv.weight, self.init, self.groups)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        return conv


@dataclass(frozen=True)
class Dense(Layer):
    """`dense(64)`: each output is a weighted sum of all inputs. The last layer, `dense`, has one output per class.

    Glorot's initialisation is the default: after the last layer comes a softmax, not a ReLU that drops half.
    """

    word: ClassVar[str] = "dense"
    keeps_input: ClassVar[bool] = True
    sees_all: ClassVar[bool] = True

    units: int | None = field(default=None, metadata=AT_LEAST_1)
    _: KW_ONLY
    bias: bool = True
    init: Init = "glorot"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init == "xavier":
            object.__setattr__(self, "init", "glorot")

    def output(self, shape: Shape) -> Shape:
        if self.units is None:
            raise NetworkError(
                "only the last layer takes its units from the number of classes; write how many, dense(64)"
            )
        if len(shape) != 1:
            raise NetworkError(
                f"it needs a row of numbers, but its input is {list(shape)}; put flatten or globalavgpool before it"
            )
        return (self.units,)

    def output_formula(self, shape: Shape) -> str:
        return f"{self.units} units"

    def state(self, shape: Shape) -> TensorSpecs:
        weight = {"weight": ("float32", (*self.output(shape), *shape))}
        return weight | ({"bias": ("float32", self.output(shape))} if self.bias else {})

    def parameters(self, shape: Shape) -> int:
        units = prod(self.output(shape))
        return shape[0] * units + (units if self.bias else 0)

    def parameters_formula(self, shape: Shape) -> str:
        bias = f" + {self.units}" if self.bias else ""
        return f"{shape[0]}*{self.units}{bias} = {self.parameters(shape)}"

    def forward_flops(self, shape: Shape) -> int:
        return 2 * shape[0] * prod(self.output(shape))

    def module(self, shape: Shape) -> "nn.Linear":
        from torch import nn

        dense = nn.Linear(shape[0], prod(self.output(shape)), self.bias)
        initialise(dense.weight, self.init)
        if self.bias:
            nn.init.zeros_(dense.bias)
        return dense


@dataclass(frozen=True)
class BatchNorm(Elementwise):
    """Each channel to mean 0 and variance 1 in the batch, then scaled and shifted (Ioffe & Szegedy 2015, alg. 1).

    The running mean and variance are not learned by gradients, and do not count as parameters. `eps` is added to the
    variance: 1e-5 in PyTorch, 1e-3 in TensorFlow.
    """

    word: ClassVar[str] = "batchnorm"
    keeps_input: ClassVar[bool] = True
    hands_on_order: ClassVar[bool] = False

    _: KW_ONLY
    eps: float = field(default=1e-5, metadata=AT_LEAST_0)

    def state(self, shape: Shape) -> TensorSpecs:
        numbers = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), ("float32", shape[:1]))
        return {**numbers, "num_batches_tracked": ("int64", ())}

    def parameters(self, shape: Shape) -> int:
        return 2 * shape[0]

    def parameters_formula(self, shape: Shape) -> str:
        return f"{shape[0]} + {shape[0]} = {2 * shape[0]}"

    def forward_flops(self, shape: Shape) -> int:
        """Per number: mean 1; difference, square, sum 3; normalise 1; scale and shift 2."""
        return 7 * prod(shape)

    def input_gradient_flops(self, shape: Shape) -> int:
        """Per number: scale * (dy - mean(dy) - x^ * mean(dy * x^)), 4; the weights' gradient has the means."""
        return 4 * prod(shape)

    def weight_gradient_flops(self, shape: Shape) -> int:
        """Per number: x^ again 2, dy * x^ and its sum 2, the sum of dy 1."""
        return 5 * prod(shape)

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0], self.eps)
