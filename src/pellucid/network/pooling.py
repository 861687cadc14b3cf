"""Layers that reduce a picture to fewer numbers or to a row: pooling and flatten."""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, field
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from pellucid.errors import NetworkError
from pellucid.network.layer import AT_LEAST_0, AT_LEAST_1, FLOAT, INDEX, Layer, channels_height_width
from pellucid.network.window import Pair, Shape, Window, pair

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Pool(Layer):
    """A window over each channel. Without a stride the windows lie side by side: stride = size."""

    keeps_input: ClassVar[bool] = True

    size: Pair = field(metadata=AT_LEAST_1)
    _: KW_ONLY
    stride: Pair | None = field(default=None, metadata=AT_LEAST_1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride == self.size:
            object.__setattr__(self, "stride", None)  # canonical: equal pools compare equal

    def window(self) -> Window:
        return Window(self.size, self.step, self.zeros)

    @property
    def step(self) -> Pair:
        """The stride as numbers."""
        return self.stride or self.size

    @property
    @abstractmethod
    def zeros(self) -> Pair:
        """The padding on each side."""

    def output(self, shape: Shape) -> Shape:
        channels, height, width = channels_height_width(shape)
        return (channels, *self.window().output(height, width))

    def output_formula(self, shape: Shape) -> str:
        return self.window().formula(shape[1], shape[2])

    def forward_flops(self, shape: Shape) -> int:
        """One comparison or addition for each number in a window."""
        return prod(self.size) * prod(self.output(shape))


@dataclass(frozen=True)
class PaddedPool(Pool):
    """A pool whose padding, at most half its size, keeps a number of the picture in every window.

    `same` padding gives ceil(W / S) outputs, as in TensorFlow: if the number of zeros is odd, the right and the lower
    side get one more. The zeros do not count in a maximum or a mean.
    """

    _: KW_ONLY
    padding: Pair | Literal["same"] = field(default=(0, 0), metadata=AT_LEAST_0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding == "same":
            if any(self.step[axis] == 1 and self.size[axis] % 2 == 0 for axis in (0, 1)):
                raise NetworkError(
                    f"{self.word}: padding=same with stride 1 needs an odd size, but size is {pair(self.size)}."
                )
        elif any(2 * self.padding[axis] > self.size[axis] for axis in (0, 1)):
            raise NetworkError(
                f"{self.word}: padding={pair(self.padding)} is more than half of size {pair(self.size)}; "
                "some windows would lie outside the picture."
            )

    @property
    def same(self) -> bool:
        """Whether the padding depends on the input."""
        return self.padding == "same"

    @property
    def zeros(self) -> Pair:
        """The padding on each side, as numbers. Not for `same`: see Window.zeros."""
        assert isinstance(self.padding, tuple), "the zeros depend on the input's size"
        return self.padding

    def window(self) -> Window:
        return Window(self.size, self.step, same=True) if self.same else super().window()


@dataclass(frozen=True)
class MaxPool(PaddedPool):
    """The largest number of each window; its padding never wins. The gradient goes to the winner alone."""

    word: ClassVar[str] = "maxpool"

    def input_gradient_flops(self, shape: Shape) -> int:
        return prod(self.output(shape))

    def extra_bytes(self, shape: Shape) -> int:
        return INDEX * prod(self.output(shape))  # the places of the winners

    def reordered_bytes(self, shape: Shape) -> int:
        channels, height, width = self.output(shape)
        alike = channels == 1 or height == width == 1  # then both orders are the same
        return 0 if alike else FLOAT * prod(shape) + self.extra_bytes(shape)

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        from pellucid.network.same import SameMaxPool2d

        return SameMaxPool2d(self.size, self.step) if self.same else nn.MaxPool2d(self.size, self.step, self.zeros)


@dataclass(frozen=True)
class AvgPool(PaddedPool):
    """The mean of each window, including zeros of the padding: the sum divided by F*F. Zeros of `same` do not count."""

    word: ClassVar[str] = "avgpool"

    def reordered_bytes(self, shape: Shape) -> int:
        return FLOAT * prod(shape)

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        from pellucid.network.same import SameAvgPool2d

        return SameAvgPool2d(self.size, self.step) if self.same else nn.AvgPool2d(self.size, self.step, self.zeros)


@dataclass(frozen=True)
class L2Pool(Pool):
    """The L2 norm of each window, the root of its sum of squares; where that is 0, the gradient is also 0."""

    word: ClassVar[str] = "l2pool"

    @property
    def zeros(self) -> Pair:
        return 0, 0

    def window(self) -> Window:
        return Window(self.size, self.step, can_pad=False)  # nn.LPPool2d has no padding

    def forward_flops(self, shape: Shape) -> int:
        """A square and an addition for each number in a window."""
        return 2 * super().forward_flops(shape)

    def extra_bytes(self, shape: Shape) -> int:
        """nn.LPPool2d also keeps the squares, and four steps between their mean and the root."""
        return FLOAT * (prod(shape) + 4 * prod(self.output(shape)))

    def scratch_bytes(self, shape: Shape) -> int:
        return FLOAT * prod(shape)  # the gradient of the squares besides that of the input

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LPPool2d(2, self.size, self.step)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: [512, 7, 7] becomes [512], for any picture size."""

    word: ClassVar[str] = "globalavgpool"
    sees_all: ClassVar[bool] = True

    def output(self, shape: Shape) -> Shape:
        return (channels_height_width(shape)[0],)

    def output_formula(self, shape: Shape) -> str:
        return f"{shape[0]} means of {shape[1]}*{shape[2]}"

    def forward_flops(self, shape: Shape) -> int:
        return prod(shape)

    def module(self, shape: Shape) -> "nn.Module":
        from collections import OrderedDict

        from torch import nn

        return nn.Sequential(OrderedDict(average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


@dataclass(frozen=True)
class Flatten(Layer):
    """[10, 148, 148] to one row of 219,040: channel by channel, row by row. Nothing is computed or copied."""

    word: ClassVar[str] = "flatten"

    def output(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def output_formula(self, shape: Shape) -> str:
        return f"{'*'.join(map(str, shape))} = {prod(shape)}"

    def forward_flops(self, shape: Shape) -> int:
        return 0

    def output_bytes(self, shape: Shape) -> int:
        return 0  # the same memory, read as a row

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Flatten()
