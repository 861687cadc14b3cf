"""Element-wise layers: activations and dropout.

None of them works in place: the recorded output of conv1 must not be overwritten by relu1.
"""

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, ClassVar

from pellucid.network.layer import AT_LEAST_0, FLOAT, Elementwise
from pellucid.network.window import Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Dropout(Elementwise):
    """`dropout(0.5)`: in training, each number is 0 with probability `rate`, else divided by 1 - rate."""

    word: ClassVar[str] = "dropout"

    rate: float = field(default=0.5, metadata=AT_LEAST_0 | {"below": 1})

    def extra_bytes(self, shape: Shape) -> int:
        return FLOAT * prod(shape)  # the mask, float32 on the CPU

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Dropout(self.rate)


@dataclass(frozen=True)
class Relu(Elementwise):
    """max(0, x)."""

    word: ClassVar[str] = "relu"
    keeps_output: ClassVar[bool] = True
    hands_on_order: ClassVar[bool] = False

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReLU()


@dataclass(frozen=True)
class Relu6(Elementwise):
    """min(max(0, x), 6) (Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10")."""

    word: ClassVar[str] = "relu6"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReLU6()


@dataclass(frozen=True)
class LeakyRelu(Elementwise):
    """x where x > 0, else slope * x."""

    word: ClassVar[str] = "leaky_relu"
    keeps_input: ClassVar[bool] = True
    hands_on_order: ClassVar[bool] = False

    slope: float = field(default=0.01, metadata=AT_LEAST_0)

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LeakyReLU(self.slope)


@dataclass(frozen=True)
class Elu(Elementwise):
    """x where x > 0, else exp(x) - 1 (Clevert et al. 2015)."""

    word: ClassVar[str] = "elu"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ELU()


@dataclass(frozen=True)
class Gelu(Elementwise):
    """x times the standard normal distribution's value at x (Hendrycks & Gimpel 2016)."""

    word: ClassVar[str] = "gelu"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.GELU()


@dataclass(frozen=True)
class Silu(Elementwise):
    """x * sigmoid(x), also called swish."""

    word: ClassVar[str] = "silu"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.SiLU()


@dataclass(frozen=True)
class Hardswish(Elementwise):
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardswish"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Hardswish()


@dataclass(frozen=True)
class Hardsigmoid(Elementwise):
    """min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardsigmoid"
    keeps_input: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Hardsigmoid()


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    word: ClassVar[str] = "sigmoid"
    keeps_output: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Sigmoid()


@dataclass(frozen=True)
class Tanh(Elementwise):
    """The hyperbolic tangent."""

    word: ClassVar[str] = "tanh"
    keeps_output: ClassVar[bool] = True

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Tanh()
